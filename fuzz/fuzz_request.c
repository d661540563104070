/* The JSON bodies of POST /convert and /download_token, up to what is stored of them. Whatever a body is, it
 * is taken or refused with a reason; what is taken names a format as the table does, and once its password is
 * taken out nothing that is stored has it, while the engine gets it back. */
#include "fuzz.h"

#include "api/body.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/password.h"

#include <strings.h>

/* What the name of a format means, the slow way. */
static const struct format *look_up(const char *name)
{
    for (size_t i = 0; i < n_formats; i++) {
        const char *word;
        size_t n;

        for (const char *p = formats[i].extensions; (p = words_next(p, &word, &n));)
            if (strlen(name) == n && strncasecmp(name, word, n) == 0)
                return &formats[i];
    }
    return NULL;
}

static void require_apart(json_t *options)
{
    _cleanup_secret_ char *password = password_take(options);
    _cleanup_free_ char *stored = json_dumps(options, JSON_COMPACT), *joined = NULL;
    _cleanup_json_ json_t *again = json_loads(stored, JSON_REJECT_DUPLICATES, NULL), *whole = NULL;
    _cleanup_secret_ char *back = NULL;

    require(json_equal(options, again) && !json_object_get(again, "password"));
    require(password_join(stored, password, &joined) == 0);
    whole = json_loads(joined, JSON_REJECT_DUPLICATES, NULL);
    back = password_take(whole);
    require(password ? str_eq(back, password) : !back);
    require(json_equal(whole, options));
}

/* On every way to the target, until one takes the options. */
static void check_options(const struct body *body)
{
    for (size_t i = 0; i < n_formats; i++) {
        const struct catalogue_route *route = catalogue_find(&formats[i], body->target);
        char why[160] = "";

        if (!route)
            continue;
        if (catalogue_check_options(route, body->options, why, sizeof why) < 0) {
            require(why[0] && memchr(why, '\0', sizeof why));
        } else if (body->options) {
            require(catalogue_takes_password(route) || !json_object_get(body->options, "password"));
            require_apart(body->options);
            return;
        }
    }
}

static void require_convert(const struct body *body)
{
    const char *name = json_string_value(json_object_get(body->json, "target_format"));
    const json_t *options = json_object_get(body->json, "options");

    require(name && body->target == look_up(name));
    require(body->options ? body->options == options && json_is_object(options)
                          : !options || json_is_null(options));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(body_free) struct body token = {0}, convert = {0};
    const char *text = (const char *)data, *why = "";
    bool wanted = body_read_download_token(text, size, &token, &why) == 0;

    require(wanted ? json_is_object(token.json) && token.job_id && !token.target && !token.options
                   : *why && !token.json && !token.job_id);
    why = "";
    if (body_read_convert(text, size, &convert, &why) < 0) {
        require(*why && !convert.json && !convert.job_id && !convert.target && !convert.options);
        return 0;
    }
    require(wanted && str_eq(convert.job_id, token.job_id));
    require_convert(&convert);
    check_options(&convert);
    return 0;
}
