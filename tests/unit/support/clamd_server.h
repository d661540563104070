/* A clamd of the test's own, in a temporary folder, whose database knows the EICAR test file and nothing
 * else. It dies with the test process. Everything here ends the test when it fails. */
#pragma once

#include <stddef.h>

struct clamd_server;

struct clamd_server *clamd_server_start(void);
/* With these lines in its configuration instead of "AlertExceedsMax yes" and "AlertEncrypted no". */
struct clamd_server *clamd_server_start_with(const char *options);
/* With a signature of something else alone. */
struct clamd_server *clamd_server_start_without_eicar(void);
/* Kills it and removes the folder. NULL is fine. */
void clamd_server_free(struct clamd_server *s);

const char *clamd_server_unix_url(const struct clamd_server *s); /* unix:PATH */
const char *clamd_server_tcp_url(const struct clamd_server *s);  /* tcp:localhost:PORT */

/* SIGSTOP and SIGCONT: it accepts connections, and does not answer. */
void clamd_server_pause(struct clamd_server *s);
void clamd_server_resume(struct clamd_server *s);

/* The EICAR test file (https://www.eicar.org/download-anti-malware-testfile/), put together here so that no
 * file of ours holds it. Its signature's name is CLAMD_SERVER_EICAR. */
const char *clamd_server_eicar(void);
#define CLAMD_SERVER_EICAR "Decant.Test.EICAR.UNOFFICIAL"

/* What clamd_server_start sets: larger streams are refused. */
enum { CLAMD_SERVER_STREAM_MAX = 8 << 20 };
/* Larger files are not looked through, and said not to be. */
enum { CLAMD_SERVER_FILE_MAX = 6 << 20 };
