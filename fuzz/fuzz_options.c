/* What a request may ask for. An input is JSON with "from", "to" and "options": whatever the options are,
 * they are taken or refused with a reason. What is taken can carry a password to the engine and back. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/password.h"

static void require_password(const char *options)
{
    _cleanup_free_ char *joined = NULL;
    _cleanup_json_ json_t *object = NULL;
    _cleanup_secret_ char *password = NULL;

    require(password_join(options, "secret", &joined) == 0);
    object = json_loads(joined, 0, NULL);
    password = password_take(object);
    require(str_eq(password, "secret") && !json_object_get(object, "password"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *body = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    const char *from = json_string_value(json_object_get(body, "from")),
               *to = json_string_value(json_object_get(body, "to"));
    const struct format *source = from ? format_by_id(from) : NULL, *target = to ? format_by_id(to) : NULL;
    const struct catalogue_route *route = source && target ? catalogue_find(source, target) : NULL;
    json_t *options = json_object_get(body, "options");
    char why[256] = "";

    if (!route)
        return 0;
    if (catalogue_check_options(route, options, why, sizeof why) < 0) {
        require(why[0] && memchr(why, '\0', sizeof why));
        return 0;
    }
    if (options) {
        _cleanup_free_ char *text = json_dumps(options, JSON_COMPACT);

        require(json_is_object(options) && text);
        require_password(text);
    }
    return 0;
}
