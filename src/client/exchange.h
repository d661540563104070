/* One request to a server of Decant's and its answer, waited for, by libcurl.
 *
 * HTTP and HTTPS only, TLS verified, no redirects (they would carry the credential along). A file goes out
 * and a result comes in piece by piece: neither is ever in memory. */
#pragma once

#include "core/buf.h"

#include <stdatomic.h>

enum {
    EXCHANGE_ANSWER_MAX = 16 << 20, /* what is kept in memory: JSON */
    EXCHANGE_STALL_S = 120,         /* without a byte either way; a server waits 30 with `wait` */
};

/* Of one thread: connections are used again. */
struct exchange_line {
    void *curl;             /* CURL * */
    const char *ca_file;    /* NULL: the system's authorities */
    const atomic_int *stop; /* not 0: whatever is under way ends with -ECANCELED. NULL: nothing stops it */
};

struct exchange_field {
    const char *name, *text;
};

struct exchange {
    /* What is asked. */
    const char *method, *url;
    const char *bearer, *cookie; /* NULL: none */
    const char *const *headers;  /* "Name: value", more of them, up to a NULL; NULL: none */
    const char *json;            /* a body; NULL */
    int file;                    /* another one: file_size bytes of it from file_offset on; -1: none */
    uint64_t file_offset, file_size;
    const char *file_name;               /* as the form's field `file`, of that name; NULL: as they are */
    const struct exchange_field *fields; /* of that form, before the file, up to one without a name; NULL */
    unsigned stall_s; /* instead of EXCHANGE_STALL_S, where the answer may take longer; 0: not */
    int sink;         /* takes the body of a 2xx from `offset` on; -1: `body` does */
    uint64_t offset;  /* bytes that the sink has of the body already: asked for is what follows */
    void (*progress)(void *arg, uint64_t done,
                     uint64_t total); /* bytes of the body that is sent, or of the sink; may be NULL */
    void *progress_arg;

    /* What is answered: status 0 without one. */
    long status;
    struct buf body;
    unsigned retry_after_s;       /* 0: the server doesn't say */
    char *refresh_token, *device; /* cookies that were set; NULL */
    char *location;               /* NULL: none */
    char *type;                   /* of the body; NULL: the server doesn't say */
    bool has_job_id;              /* X-Job-Id: it is a result */
    int64_t upload_offset;        /* of tus; -1: none */
    char error[512];              /* why there is no answer */
};

#define EXCHANGE_INIT                                                                                        \
    ((struct exchange){.method = "GET",                                                                      \
                       .file = -1,                                                                           \
                       .sink = -1,                                                                           \
                       .body = BUF_INIT(EXCHANGE_ANSWER_MAX),                                                \
                       .upload_offset = -1})

int exchange_line_open(struct exchange_line *line) _warn_unused_;
void exchange_line_close(struct exchange_line *line);

/* 0 when there is a whole answer, of whatever status. Else -errno, and `error` has a sentence: -ENOTCONN (no
 * connection), -ECONNRESET (it broke), -ETIMEDOUT, -EPROTO (TLS, or no HTTP), -EIO (the sink), -ENODATA (the
 * file), -ECANCELED. May be called again for the same exchange, of which the answer is then forgotten; what
 * is in the sink stays. */
int exchange_run(struct exchange_line *line, struct exchange *x) _warn_unused_;
/* What was answered; the sink and the file are the caller's. */
void exchange_clear(struct exchange *x);
