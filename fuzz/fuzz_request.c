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

/* Is this what GET /formats tells of an option? */
static bool is_told(const json_t *option, const json_t *value)
{
    json_int_t n = 0;

    if (str_eq(json_string_value(json_object_get(option, "type")), "integer"))
        return json_is_integer(value) &&
               json_integer_value(value) >= json_integer_value(json_object_get(option, "min")) &&
               json_integer_value(value) <= json_integer_value(json_object_get(option, "max"));
    for (const char *p = json_string_value(value); p && *p; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    return n >= 1 && n <= json_integer_value(json_object_get(option, "max_length"));
}

static bool are_told(const struct catalogue_route *route, json_t *options)
{
    static json_t *catalogue;
    const json_t *from, *told;
    const char *name;
    json_t *value;

    if (!catalogue)
        catalogue = catalogue_json();
    from = json_object_get(json_object_get(catalogue, "formats"), route->from->id);
    told = json_object_get(json_object_get(from, "options"), route->to->id);
    json_object_foreach(options, name, value)
    {
        const json_t *option = json_object_get(told, name);

        if (!option || !is_told(option, value))
            return false;
    }
    return true;
}

/* On every way to the target, until one takes the options. */
static void check_options(const struct body *body)
{
    for (size_t i = 0; i < n_formats; i++) {
        const struct catalogue_route *route = catalogue_find(&formats[i], body->target);
        char why[160] = "";
        int r;

        if (!route)
            continue;
        r = catalogue_check_options(route, body->options, why, sizeof why);
        require((r == 0) == are_told(route, body->options));
        if (r < 0) {
            require(why[0] && memchr(why, '\0', sizeof why));
        } else if (body->options) {
            require(catalogue_takes_password(route) || !json_object_get(body->options, "password"));
            require_apart(body->options);
            return;
        }
    }
}

/* No name stands twice: who takes the first and who takes the second would see different requests. */
static void require_strict(const char *text, size_t size, const json_t *json)
{
    _cleanup_json_ json_t *strict = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

    require(strict && json_equal(strict, json));
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
    if (wanted)
        require_strict(text, size, token.json);
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
