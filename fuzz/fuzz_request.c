/* The JSON bodies of POST /convert, /retry and /download_token, up to what is stored of them. Whatever a body
 * is, it is taken or refused with a reason; what is taken names a format as the table does, and once its
 * password is taken out nothing that is stored has it, while the engine gets it back. */
#include "fuzz.h"

#include "api/body.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/page_range.h"
#include "engine/secrets.h"

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
    _cleanup_secret_ char *secrets = secrets_take(options);
    _cleanup_free_ char *stored = json_dumps(options, JSON_COMPACT), *joined = NULL;
    _cleanup_json_ json_t *again = json_loads(stored, JSON_REJECT_DUPLICATES, NULL), *whole = NULL;
    _cleanup_secret_ char *back = NULL;

    require(json_equal(options, again) && !secrets_among(again));
    require(secrets_join(stored, secrets, &joined) == 0);
    whole = json_loads(joined, JSON_REJECT_DUPLICATES, NULL);
    back = secrets_take(whole);
    require(secrets ? str_eq(back, secrets) : !back);
    require(json_equal(whole, options));
}

static bool is_among(const json_t *choices, const char *word, size_t len)
{
    const json_t *choice;
    size_t i;

    json_array_foreach(choices, i, choice) if (json_string_length(choice) == len &&
                                               memcmp(json_string_value(choice), word, len) == 0) return true;
    return false;
}

static bool are_among(const json_t *choices, const char *text)
{
    for (; text; text += *text == '+') {
        size_t len = strcspn(text, "+");

        if (!is_among(choices, text, len))
            return false;
        text += len;
        if (!*text)
            return true;
    }
    return false;
}

static bool is_of_length(const json_t *option, const char *text)
{
    json_int_t n = 0;

    for (const char *p = text; p && *p; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    return n >= 1 && n <= json_integer_value(json_object_get(option, "max_length"));
}

/* Is this what GET /formats tells of an option? */
static bool is_told(const json_t *option, const json_t *value)
{
    const char *type = json_string_value(json_object_get(option, "type")), *text = json_string_value(value);
    const json_t *choices = json_object_get(option, "choices");
    json_int_t number = json_integer_value(value);
    char digits[32];

    if (str_eq(type, "boolean"))
        return json_is_boolean(value) || (json_is_integer(value) && (number == 0 || number == 1));
    if (str_eq(type, "integer"))
        return json_is_integer(value) && number >= json_integer_value(json_object_get(option, "min")) &&
               number <= json_integer_value(json_object_get(option, "max"));
    if (json_is_integer(value) && !json_object_get(option, "secret")) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        text = digits;
    }
    if (str_eq(type, "choice"))
        return text && is_among(choices, text, strlen(text));
    if (str_eq(type, "set"))
        return are_among(choices, text);
    if (str_eq(type, "pages"))
        return text && is_of_length(option, text) && page_range_is_valid(text);
    for (const char *p = text; p && *p; p++)
        if ((unsigned char)*p < 0x20 && !json_object_get(option, "secret"))
            return false;
    return is_of_length(option, text);
}

static const json_t *find_told(const json_t *catalogue, const json_t *ids, const char *name)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id)
    {
        const json_t *option = json_object_get(json_object_get(catalogue, "options"), json_string_value(id));

        if (str_eq(json_string_value(json_object_get(option, "name")), name))
            return option;
    }
    return NULL;
}

static bool are_told(const struct catalogue_route *route, json_t *options)
{
    static json_t *catalogue;
    const json_t *from, *ids;
    const char *name;
    json_t *value;

    if (!catalogue)
        catalogue = catalogue_json();
    from = json_object_get(json_object_get(catalogue, "formats"), route->from->id);
    ids = json_object_get(json_object_get(from, "options"), route->to->id);
    json_object_foreach(options, name, value)
    {
        const json_t *option = find_told(catalogue, ids, name);

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
    _cleanup_(body_free) struct body token = {0}, retry = {0}, convert = {0};
    const char *text = (const char *)data, *why = "";
    bool wanted = body_read_job(text, size, &token, &why) == 0;

    require(wanted ? json_is_object(token.json) && token.job_id && !token.target && !token.options
                   : *why && !token.json && !token.job_id);
    if (wanted)
        require_strict(text, size, token.json);
    if (body_read_retry(text, size, &retry, &why) == 0)
        require(wanted && str_eq(retry.job_id, token.job_id) && !retry.target &&
                (!retry.options || json_is_object(retry.options)));
    why = "";
    if (body_read_convert(text, size, &convert, &why) < 0) {
        require(*why && !convert.json && !convert.job_id && !convert.target && !convert.options);
        return 0;
    }
    require(convert.job_ids || (wanted && str_eq(convert.job_id, token.job_id)));
    require_convert(&convert);
    check_options(&convert);
    return 0;
}
