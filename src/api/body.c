#include "api/body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct body *body, const char *why, const char **ret_why)
{
    body_free(body);
    *ret_why = why;
    return -EINVAL;
}

static int read_object(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    json_error_t error;

    *ret = (struct body){.json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error)};
    if (!json_is_object(ret->json))
        return refuse(ret, "The body has to be a JSON object.", ret_why);
    return 0;
}

static int read_job_id(struct body *ret, const char **ret_why)
{
    ret->job_id = json_string_value(json_object_get(ret->json, "job_id"));
    return ret->job_id ? 0 : refuse(ret, "The member \"job_id\" is missing or not a string.", ret_why);
}

/* One, or "job_ids" of many. */
static int read_job_ids(struct body *ret, const char **ret_why)
{
    const json_t *ids = json_object_get(ret->json, "job_ids"), *id;
    size_t i;

    if (!ids)
        return read_job_id(ret, ret_why);
    if (json_object_get(ret->json, "job_id"))
        return refuse(ret, "The members \"job_id\" and \"job_ids\" exclude each other.", ret_why);
    if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > BODY_JOBS_MAX)
        return refuse(ret, "The member \"job_ids\" has to be an array of 1 to 100 strings.", ret_why);
    json_array_foreach(ids, i, id) if (!json_is_string(id)) return refuse(
        ret, "The member \"job_ids\" has to be an array of 1 to 100 strings.", ret_why);
    ret->job_ids = ids;
    ret->job_id = json_string_value(json_array_get(ids, 0));
    return 0;
}

/* "jpeg" is as good as "jpg", and so is "PDF". */
static const struct format *find_target(const char *name)
{
    char file[32];

    snprintf(file, sizeof file, "x.%s", name);
    return strchr(name, '.') || strlen(name) > 16 ? NULL : format_by_name(file);
}

static int read_options(struct body *ret, const char **ret_why)
{
    ret->options = json_object_get(ret->json, "options");
    if (json_is_null(ret->options))
        ret->options = NULL; /* how many clients write that there are none */
    if (ret->options && !json_is_object(ret->options))
        return refuse(ret, "The member \"options\" has to be an object.", ret_why);
    return 0;
}

int body_read_convert(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    const char *target;
    int r = read_object(text, len, ret, ret_why);

    if (r == 0)
        r = read_job_ids(ret, ret_why);
    if (r < 0)
        return r;
    target = json_string_value(json_object_get(ret->json, "target_format"));
    if (!target)
        return refuse(ret, "The member \"target_format\" is missing or not a string.", ret_why);
    ret->target = find_target(target);
    return read_options(ret, ret_why);
}

int body_read_retry(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    int r = body_read_job(text, len, ret, ret_why);

    return r < 0 ? r : read_options(ret, ret_why);
}

int body_read_job(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    int r = read_object(text, len, ret, ret_why);

    return r < 0 ? r : read_job_id(ret, ret_why);
}

/* NULL has none that could be the same. */
static bool are_distinct(const json_t *ids)
{
    for (size_t i = 1; i < json_array_size(ids); i++)
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(ids, i), json_array_get(ids, k)))
                return false;
    return true;
}

int body_read_download_token(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    int r = read_object(text, len, ret, ret_why);

    if (r == 0)
        r = read_job_ids(ret, ret_why);
    if (r == 0 && !are_distinct(ret->job_ids))
        r = refuse(ret, "The member \"job_ids\" names a job twice.", ret_why);
    return r;
}

void body_free(struct body *body)
{
    json_decref(body->json);
    *body = (struct body){0};
}
