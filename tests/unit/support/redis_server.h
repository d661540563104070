/* A Redis of the test's own: on a Unix socket in a temporary folder, no TCP, nothing written to disk. It dies
 * with the test process, whatever becomes of that. Everything here ends the test when it fails. */
#pragma once

#include <hiredis/hiredis.h>

struct redis_server;

/* `options`: further arguments such as "--requirepass", "x"; NULL-terminated, or NULL. */
struct redis_server *redis_server_start(const char *const options[]);
/* Kills the server and removes the folder; fit for cmocka teardowns. NULL is fine. */
void redis_server_free(struct redis_server *s);

const char *redis_server_url(const struct redis_server *s); /* unix:PATH */

/* SIGKILL; and a new, empty server on the same socket. */
void redis_server_kill(struct redis_server *s);
void redis_server_restart(struct redis_server *s);
/* SIGSTOP and SIGCONT: it accepts connections, and does not answer. */
void redis_server_pause(struct redis_server *s);
void redis_server_resume(struct redis_server *s);

/* A command over a connection of its own, waiting for the reply; an error reply ends the test. */
void redis_server_do(struct redis_server *s, const char *format, ...);
/* With the reply, which the caller frees (freeReplyObject). */
redisReply *redis_server_reply(struct redis_server *s, const char *format, ...);
/* For replies that are numbers. */
long long redis_server_int(struct redis_server *s, const char *format, ...);
/* For replies that are strings: "" for nil; lives until the next call. */
const char *redis_server_str(struct redis_server *s, const char *format, ...);
