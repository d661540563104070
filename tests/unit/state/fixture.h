/* A Redis, a loop and a connection between them. */
#pragma once

#include "state/job.h"
#include "state/redis.h"
#include "state/session.h"
#include "state/token.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *r; /* NULL: freed by the test */
};

/* Not connected yet when it returns. */
void fixture_start(struct fixture *f, const char *const options[], const char *password);
void fixture_stop(struct fixture *f);
void fixture_wait_connected(struct fixture *f, bool wanted);

/* For cmocka_unit_test_setup_teardown: *state is a connected fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Runs commands of which only err, and with an error's absence the text or number, counts. */
struct answer {
    int calls, err;
    char text[64];
    long long number;
    bool done;
};

void answer_on(void *arg, int err, const redisReply *reply); /* a redis_reply_fn; arg: struct answer */
/* Waits for it; it must not have come before. */
void answer_wait(struct fixture *f, struct answer *a);

/* Each of these waits for the callback and returns its err. Results are set on success only. */
int do_session_create(struct fixture *f, uint64_t ttl_s, struct session *ret);
int do_session_load(struct fixture *f, const char *id, struct session *ret);
int do_begin_close(struct fixture *f, const char *id, unsigned *ret_running);
int do_running(struct fixture *f, const char *id, unsigned *ret_running);
int do_finish_close(struct fixture *f, const char *id);
int do_job_create_within(struct fixture *f, const struct job *job, const struct job_quota *quota);
int do_job_look_for_room(struct fixture *f, const char *session_id, uint64_t size,
                         const struct job_quota *quota);
int do_job_create(struct fixture *f, const struct job *job, uint64_t max_jobs);
int do_job_update(struct fixture *f, const char *session_id, const char *job_id, const char *const pairs[]);
/* `check` may be NULL; it gets the job. */
int do_job_load(struct fixture *f, const char *session_id, const char *job_id,
                void (*check)(const struct job *job, void *arg), void *arg);
int do_token_create(struct fixture *f, const char *session_id, const char *job_id, uint64_t ttl_s,
                    char ret_token[ID_TOKEN_LEN + 1]);
int do_token_load(struct fixture *f, const char *token);

/* A new job of the session, in that status. */
void make_job(struct fixture *f, const char *session_id, enum job_status status,
              char ret_id[ID_UUID_LEN + 1]);
/* Every key expires, and with the session at the latest. */
void assert_all_expire(struct fixture *f, const char *session_id);
void assert_no_keys(struct fixture *f);
