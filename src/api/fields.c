#include "api/fields.h"

#include "api/body.h"
#include "core/str.h"
#include "engine/secrets.h"

#include <errno.h>
#include <stdarg.h>

static int refuse(struct fields *f, const char *format, ...) _printf_(2, 3);
static int refuse(struct fields *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(f->why, sizeof f->why, format, args);
    va_end(args);
    return -EINVAL;
}

static int read_switch(struct fields *f, const char *name, const char *text, bool *ret)
{
    *ret = str_eq(text, "true") || str_eq(text, "1");
    if (!*ret && !str_eq(text, "false") && !str_eq(text, "0"))
        return refuse(f, "The field \"%s\" must be true or false.", name);
    return 0;
}

/* Of several each option is there once. */
static int add_options(struct fields *f, const char *text)
{
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error), *value;
    const char *name, *no_object = "The field \"options\" has to be a JSON object.";
    int r = 0;

    if (!json_is_object(object))
        r = refuse(f, "%s", object ? no_object : body_json_trouble(&error, no_object));
    if (r == 0 && !f->options)
        f->options = json_object();
    if (r == 0)
        json_object_foreach(object, name, value) if (json_object_get(f->options, name)) r =
            refuse(f, "The fields \"options\" name an option twice.");
    if (r == 0)
        r = json_object_update(f->options, object) < 0 ? refuse(f, "Out of memory.") : 0;
    if (r < 0)
        secrets_wipe(object);
    json_decref(object);
    return r;
}

int fields_add(struct fields *f, const char *name, const char *text, size_t len)
{
    /* As JSON they take fifty times as much. */
    if (len > FIELDS_BYTES_MAX - f->bytes) {
        refuse(f, "The fields of the form are too long.");
        return -EMSGSIZE;
    }
    f->bytes += len;
    if (!f->texts)
        f->texts = json_object();
    if (!str_is_plain(name, FIELDS_NAME_MAX)) /* it may be anything, and is not repeated */
        return refuse(f, "A field of the form is neither \"file\" nor \"to\" nor an option.");
    if (strlen(text) != len || !utf8_valid(text, len))
        return refuse(f, "The field \"%s\" is no text in UTF-8.", name);
    if (str_eq(name, "options"))
        return add_options(f, text);
    if (json_object_get(f->texts, name))
        return refuse(f, "The field \"%s\" is there twice.", name);
    if (json_object_set_new(f->texts, name, json_string(text)) < 0)
        return refuse(f, "Out of memory.");
    if (str_eq(name, "merge"))
        return read_switch(f, name, text, &f->merge);
    if (str_eq(name, "keep"))
        return read_switch(f, name, text, &f->keep);
    if (str_eq(name, "to"))
        f->target = body_find_target(text);
    else if (str_eq(name, "callback_url"))
        f->callback_url = json_string_value(json_object_get(f->texts, name));
    else if (!catalogue_has_option(name))
        return refuse(f, "The form has a field \"%s\", which is neither \"file\" nor \"to\" nor an option.",
                      name);
    return 0;
}

static bool is_about_the_call(const char *name)
{
    return str_eq(name, "to") || str_eq(name, "merge") || str_eq(name, "keep") ||
           str_eq(name, "callback_url");
}

static int add_texts(struct fields *f, const struct catalogue_route *route, json_t *all)
{
    const char *name;
    json_t *text, *value;

    json_object_foreach(f->texts, name, text)
    {
        if (is_about_the_call(name))
            continue;
        if (json_object_get(all, name))
            return refuse(f, "The option \"%s\" is there twice.", name);
        if (catalogue_option_of_text(route, name, json_string_value(text), &value) < 0)
            return refuse(f, "A conversion from %s into %s has no option \"%s\".", route->from->id,
                          route->to->id, name);
        if (json_object_set_new(all, name, value) < 0)
            return refuse(f, "Out of memory.");
    }
    return 0;
}

int fields_options(struct fields *f, const struct catalogue_route *route, json_t **ret)
{
    json_t *all = f->options ? json_deep_copy(f->options) : json_object();
    int r = all ? add_texts(f, route, all) : refuse(f, "Out of memory.");

    if (r == 0)
        r = catalogue_check_options(route, all, f->why, sizeof f->why);
    if (r < 0) {
        secrets_wipe(all);
        json_decref(all);
        return r;
    }
    *ret = all;
    return 0;
}

void fields_free(struct fields *f)
{
    secrets_wipe(f->texts);
    secrets_wipe(f->options);
    json_decref(f->texts);
    json_decref(f->options);
    *f = (struct fields){0};
}
