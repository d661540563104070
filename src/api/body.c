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
    ret->job_id = json_string_value(json_object_get(ret->json, "job_id"));
    if (!ret->job_id)
        return refuse(ret, "The member \"job_id\" is missing or not a string.", ret_why);
    return 0;
}

/* "jpeg" is as good as "jpg", and so is "PDF". */
static const struct format *find_target(const char *name)
{
    char file[32];

    snprintf(file, sizeof file, "x.%s", name);
    return strchr(name, '.') || strlen(name) > 16 ? NULL : format_by_name(file);
}

int body_read_convert(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    const char *target;
    int r = read_object(text, len, ret, ret_why);

    if (r < 0)
        return r;
    target = json_string_value(json_object_get(ret->json, "target_format"));
    if (!target)
        return refuse(ret, "The member \"target_format\" is missing or not a string.", ret_why);
    ret->target = find_target(target);
    ret->options = json_object_get(ret->json, "options");
    if (json_is_null(ret->options))
        ret->options = NULL; /* how many clients write that there are none */
    if (ret->options && !json_is_object(ret->options))
        return refuse(ret, "The member \"options\" has to be an object.", ret_why);
    return 0;
}

int body_read_download_token(const char *text, size_t len, struct body *ret, const char **ret_why)
{
    return read_object(text, len, ret, ret_why);
}

void body_free(struct body *body)
{
    json_decref(body->json);
    *body = (struct body){0};
}
