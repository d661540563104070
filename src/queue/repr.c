#include "queue/repr.h"

#include "core/buf.h"
#include "core/id.h"

enum { DEPTH_MAX = 8 };

static void append_string(struct buf *b, const char *s)
{
    buf_append_str(b, "'");
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            buf_printf(b, "\\%c", *s);
        else if ((unsigned char)*s < ' ')
            buf_printf(b, "\\x%02x", (unsigned)*s);
        else
            buf_append(b, s, 1);
    }
    buf_append_str(b, "'");
}

static void append(struct buf *b, const json_t *value, unsigned depth);

static void append_array(struct buf *b, const json_t *array, unsigned depth)
{
    const json_t *item;
    size_t i;

    buf_append_str(b, "[");
    json_array_foreach(array, i, item)
    {
        buf_append_str(b, i > 0 ? ", " : "");
        append(b, item, depth);
    }
    buf_append_str(b, "]");
}

static void append_object(struct buf *b, const json_t *object, unsigned depth)
{
    const char *key, *between = "";
    json_t *value;

    buf_append_str(b, "{");
    json_object_foreach((json_t *)object, key, value)
    {
        buf_append_str(b, between);
        append_string(b, key);
        buf_append_str(b, ": ");
        append(b, value, depth);
        between = ", ";
    }
    buf_append_str(b, "}");
}

static void append(struct buf *b, const json_t *value, unsigned depth)
{
    if (buf_error(b) < 0)
        return;
    if (depth == DEPTH_MAX)
        buf_append_str(b, "...");
    else if (json_is_object(value))
        append_object(b, value, depth + 1);
    else if (json_is_array(value))
        append_array(b, value, depth + 1);
    else if (json_is_string(value))
        append_string(b, json_string_value(value));
    else if (json_is_integer(value))
        buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        buf_printf(b, "%.17g", json_real_value(value));
    else
        buf_append_str(b, json_is_true(value) ? "True" : json_is_false(value) ? "False" : "None");
}

char *repr_python(const json_t *value)
{
    _cleanup_buf_ struct buf b = BUF_INIT(REPR_MAX_BYTES);

    append(&b, value, 0);
    if (!buf_error(&b))
        return buf_take(&b);
    return strdup(json_is_object(value) ? "{...}" : "...");
}

static json_t *shown(const json_t *value)
{
    return json_string(id_is_uuid(json_string_value(value)) ? json_string_value(value) : "...");
}

json_t *repr_args(const json_t *args)
{
    json_t *result = json_array(), *item;
    size_t i;

    json_array_foreach(args, i, item) json_array_append_new(result, shown(item));
    return result;
}

json_t *repr_kwargs(const json_t *kwargs)
{
    json_t *result = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)kwargs, key, value)
    {
        if (strspn(key, "abcdefghijklmnopqrstuvwxyz_") == strlen(key))
            json_object_set_new(result, key, shown(value));
    }
    return result;
}
