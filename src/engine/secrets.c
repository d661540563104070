#include "engine/secrets.h"

#include "core/str.h"
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = {ENGINE_PASSWORD, ENGINE_NEW_PASSWORD};

bool secrets_among(const json_t *options)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (json_object_get(options, names[i]))
            return true;
    return false;
}

void secrets_names(const json_t *options, char ret[SECRETS_NAMES_MAX])
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (json_object_get(options, names[i]))
            len += (size_t)snprintf(ret + len, SECRETS_NAMES_MAX - len, "%s%s", len ? " " : "", names[i]);
}

void secrets_wipe(json_t *object)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *held = json_string_value(json_object_get(object, names[i]));

        if (held)
            explicit_bzero((char *)held, strlen(held));
    }
}

char *secrets_take(json_t *options)
{
    _cleanup_json_ json_t *secrets = json_object();
    char *text = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        json_t *value = json_object_get(options, names[i]);

        if (value)
            json_object_set(secrets, names[i], value);
    }
    if (json_object_size(secrets) > 0)
        text = json_dumps(secrets, JSON_COMPACT);
    secrets_wipe(secrets); /* whose strings are those of the options */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        json_object_del(options, names[i]);
    return text;
}

json_t *secrets_masked(const json_t *options)
{
    json_t *masked = json_copy((json_t *)options);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (json_object_get(masked, names[i]))
            json_object_set_new(masked, names[i], json_true());
    return masked;
}

int secrets_join(const char *options, const char *secrets, char **ret)
{
    _cleanup_json_ json_t *object = json_loads(options, JSON_REJECT_DUPLICATES, NULL);
    _cleanup_json_ json_t *own = secrets ? json_loads(secrets, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int r = 0;

    if (!json_is_object(object) || (secrets && !json_is_object(own)))
        return -EINVAL;
    if (own)
        r = json_object_update(object, own) < 0 ? -ENOMEM : 0;
    *ret = r == 0 ? json_dumps(object, JSON_COMPACT) : NULL;
    secrets_wipe(object);
    return *ret ? 0 : -ENOMEM;
}
