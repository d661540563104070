/* The JSON bodies of requests: bytes of strangers become what a handler asks for. Needs no call and no
 * connection. */
#pragma once

#include "core/cleanup.h"
#include "format/format.h"

#include <jansson.h>
#include <stddef.h>

enum { BODY_JOBS_MAX = 100, BODY_PART_MAX = 9999 };

/* Views into `json`, which body_free() releases. */
struct body {
    json_t *json;
    const char *job_id;    /* of any form: the state layer knows which may exist; of many the first */
    const json_t *job_ids; /* of many that become one, or are downloaded in one: texts, at most BODY_JOBS_MAX;
                              NULL: there is one */
    unsigned part;         /* of several archives, as /download_token names it; 0: none was sent */
    const struct format *target; /* of /convert alone; NULL: we know none of the name */
    const char *name, *password; /* of /auth/login alone */
    const char *callback_url;    /* of /convert alone; NULL: none was sent */
    json_t *options;             /* of /convert and /retry: an object; NULL: none were sent */
};

/* 0, or -EINVAL with a sentence (a constant) about what is wrong; `ret` is then empty. */
int body_read_convert(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
int body_read_retry(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
/* A job's id and no more: /cancel, /delete, /duplicate. */
int body_read_job(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
/* Of many no two are the same. `part` is BODY_PART_MAX at most. */
int body_read_download_token(const char *text, size_t len, struct body *ret,
                             const char **ret_why) _warn_unused_;
/* By any of its extensions in any case: "jpeg" is as good as "jpg", and so is "PDF". NULL: we know none. */
const struct format *body_find_target(const char *name);
/* Neither is empty. */
int body_read_login(const char *text, size_t len, struct body *ret, const char **ret_why) _warn_unused_;
/* What is wrong with JSON that could not be read, where it is well-formed all the same; else `otherwise`. */
const char *body_json_trouble(const json_error_t *error, const char *otherwise);
void body_free(struct body *body);
