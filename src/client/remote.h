/* A server of Decant's, as somebody who is logged in to it sees it, or who needs no login: requests with a
 * credential that is renewed in time, repeated when a connection breaks or the server asks for patience. For
 * several threads at once, each with a line of its own. */
#pragma once

#include "client/exchange.h"
#include "client/servers.h"

#include <pthread.h>

enum {
    REMOTE_PATIENCE_MS = 600000, /* all waiting between the tries of one request */
    /* Exit statuses of commands that talk to a server; others are decant convert's. */
    REMOTE_EXIT_SERVER = 5, /* it can't be reached, or does not answer as it should */
    REMOTE_EXIT_LOGIN = 6,  /* not logged in, or not any more, or not for that */
};

/* Why something failed. */
struct remote_fault {
    long status;   /* 0: there was no answer */
    char code[64]; /* the problem's; or "server_unreachable", "not_logged_in", "server_error",
                    * "input_unreadable", "output_unwritable", "cancelled_by_user" */
    char message[512];
};

struct remote_options {
    const char *server;  /* as it was called; NULL: the default */
    const char *ca_file; /* NULL: as at the login */
    bool insecure_http;
    bool may_be_anonymous; /* where there is no login: what is asked for can be had without one */
};

struct remote {
    char url[SERVER_URL_MAX];
    char *ca_file;
    bool anonymous; /* no credential; 401 is then as no login is otherwise */
    const atomic_int *stop;
    /* What may be another one after a renewal. */
    pthread_mutex_t mutex;
    char *api_key, *refresh_token, *access_token;
    uint64_t expires_at;
};

/* Finds the server and a credential for it. On failure `fault` says why, and what to do. */
int remote_open(struct remote *r, const struct remote_options *options, const atomic_int *stop,
                struct remote_fault *fault) _warn_unused_;
void remote_close(struct remote *r);
/* Only the address, for a login: -EINVAL or -EPERM (HTTP elsewhere), with a fault. */
int remote_address(const json_t *servers, const struct remote_options *options, char ret[SERVER_URL_MAX],
                   struct remote_fault *fault) _warn_unused_;
/* Into a line for this server. */
int remote_line(const struct remote *r, struct exchange_line *ret) _warn_unused_;

/* Asks for `path`, with x->url and x->bearer set here, until there is an answer that counts. 0: a 2xx. Else
 * -errno with a fault: that of exchange_run, -EACCES without a login, or -EREMOTEIO for an answer that is no
 * success. */
int remote_call(struct remote *r, struct exchange_line *line, const char *path, struct exchange *x,
                struct remote_fault *fault) _warn_unused_;
/* The two halves of that, for who has something to do between two tries. Again: 0 when another one may help,
 * and has been waited for; else `err`, or -ECANCELED. `patience` begins as zeroes. */
struct remote_patience {
    unsigned tries;
    uint64_t waited_ms;
};
int remote_try(struct remote *r, struct exchange_line *line, const char *path, struct exchange *x,
               struct remote_fault *fault) _warn_unused_;
int remote_again(struct remote *r, const struct exchange *x, int err, struct remote_patience *patience,
                 struct remote_fault *fault) _warn_unused_;
/* The same once, without a credential but what is in `x`: for logging in and out. */
int remote_call_once(struct exchange_line *line, const char *base, const char *path, struct exchange *x,
                     struct remote_fault *fault) _warn_unused_;
/* So long, and then 0; or -ECANCELED with a fault as soon as r->stop says so. */
int remote_pause(const struct remote *r, uint64_t ms, struct remote_fault *fault) _warn_unused_;
/* A JSON body that was answered; new, NULL with a fault. */
json_t *remote_json(const struct exchange *x, struct remote_fault *fault);
/* Of a login or a renewal: what its entry has to hold from now on. -EPROTO: that is no such answer. */
int remote_take_login(const struct exchange *x, json_t *entry) _warn_unused_;

int remote_fail(struct remote_fault *fault, int err, const char *code, const char *format, ...)
    _printf_(4, 5);
