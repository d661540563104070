#include "engine/password.h"

#include "engine/engine.h"

#include <errno.h>
#include <string.h>

char *password_take(json_t *options)
{
    const char *held = json_string_value(json_object_get(options, ENGINE_PASSWORD));
    char *password = held ? strdup(held) : NULL;

    if (held)
        explicit_bzero((char *)held, strlen(held)); /* the string is the object's own, and goes now */
    json_object_del(options, ENGINE_PASSWORD);
    return password;
}

int password_join(const char *options, const char *password, char **ret)
{
    _cleanup_json_ json_t *object = json_loads(options, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(object) ||
        (password && json_object_set_new(object, ENGINE_PASSWORD, json_string(password)) < 0))
        return -EINVAL;
    *ret = json_dumps(object, JSON_COMPACT);
    return *ret ? 0 : -ENOMEM;
}
