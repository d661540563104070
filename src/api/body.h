/* The JSON bodies of requests: bytes of strangers become what a handler asks for. Needs no call and no
 * connection. */
#pragma once

#include "core/cleanup.h"
#include "format/format.h"

#include <jansson.h>
#include <stddef.h>

enum { BODY_JOBS_MAX = 100 };

/* Views into `json`, which body_free() releases. */
struct body {
    json_t *json;
    const char *job_id;    /* of any form: the state layer knows which may exist; of many the first */
    const json_t *job_ids; /* of many that become one, or are downloaded in one: texts, at most BODY_JOBS_MAX;
                              NULL: there is one */
    const struct format *target; /* of /convert alone; NULL: we know none of the name */
    json_t *options;             /* of /convert and /retry: an object; NULL: none were sent */
};

/* 0, or -EINVAL with a sentence (a constant) about what is wrong; `ret` is then empty. */
int body_read_convert(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
int body_read_retry(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
/* A job's id and no more: /cancel, /duplicate. */
int body_read_job(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
/* Of many no two are the same. */
int body_read_download_token(const char *text, size_t len, struct body *ret,
                             const char **ret_why) _warn_unused_;
void body_free(struct body *body);
