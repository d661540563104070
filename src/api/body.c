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

const char *body_json_trouble(const json_error_t *error, const char *otherwise)
{
    const enum json_error_code code = json_error_code(error);

    if (code == json_error_duplicate_key)
        return "A member of the JSON is there twice.";
    if (code == json_error_numeric_overflow)
        return "A number of the JSON is too large.";
    return otherwise;
}

static int read_object(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    static const char no_object[] = "The body has to be a JSON object.";
    json_error_t error;

    *ret = (struct body){.json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error)};
    if (!ret->json)
        return refuse(ret, body_json_trouble(&error, no_object), ret_why);
    if (!json_is_object(ret->json))
        return refuse(ret, no_object, ret_why);
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

const struct format *body_find_target(const char *name)
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

static int read_callback_url(struct body *ret, const char **ret_why)
{
    const json_t *url = json_object_get(ret->json, "callback_url");

    ret->callback_url = json_string_value(url);
    if (url && !json_is_null(url) && !ret->callback_url)
        return refuse(ret, "The member \"callback_url\" has to be a string.", ret_why);
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
    ret->target = body_find_target(target);
    r = read_callback_url(ret, ret_why);
    return r < 0 ? r : read_options(ret, ret_why);
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

static int read_part(struct body *ret, const char **ret_why)
{
    const json_t *part = json_object_get(ret->json, "part");
    json_int_t number = json_integer_value(part);

    if (part && (number < 1 || number > BODY_PART_MAX))
        return refuse(ret, "The member \"part\" has to be a whole number from 1 to 9999.", ret_why);
    ret->part = (unsigned)number;
    return 0;
}

int body_read_download_token(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    int r = read_object(text, len, ret, ret_why);

    if (r == 0)
        r = read_job_ids(ret, ret_why);
    if (r == 0 && !are_distinct(ret->job_ids))
        r = refuse(ret, "The member \"job_ids\" names a job twice.", ret_why);
    return r < 0 ? r : read_part(ret, ret_why);
}

int body_read_login(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    int r = read_object(text, len, ret, ret_why);

    if (r < 0)
        return r;
    ret->name = json_string_value(json_object_get(ret->json, "name"));
    ret->password = json_string_value(json_object_get(ret->json, "password"));
    if (!ret->name || !*ret->name || !ret->password || !*ret->password)
        return refuse(ret, "The members \"name\" and \"password\" have to be strings, and not empty.",
                      ret_why);
    return 0;
}

void body_free(struct body *body)
{
    if (body->password)
        explicit_bzero((char *)body->password, strlen(body->password)); /* of the JSON */
    json_decref(body->json);
    *body = (struct body){0};
}
