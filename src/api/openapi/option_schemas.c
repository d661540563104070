/* The options of conversions as JSON Schema, by their types (docs/api.md, GET /formats). */
#include "api/openapi/openapi.h"

#include "core/str.h"

typedef json_t *schema_fn(const json_t *option);

static json_t *integer_schema(const json_t *option)
{
    return json_pack("{s:s, s:O, s:O}", "type", "integer", "minimum", json_object_get(option, "min"),
                     "maximum", json_object_get(option, "max"));
}

/* 1 and 0 are taken, too. */
static json_t *boolean_schema(const json_t *option)
{
    return json_pack("{s:[b, b, i, i]}", "enum", 1, 0, 1, 0);
}

/* What is written in digits may come as a number. */
static json_t *choice_schema(const json_t *option)
{
    json_t *all = json_array(), *choice;
    uint64_t number;
    size_t i;

    json_array_foreach(json_object_get(option, "choices"), i, choice)
    {
        json_array_append(all, choice);
        if (str_to_u64(json_string_value(choice), 0, INT64_MAX, &number) == 0)
            json_array_append_new(all, json_integer((json_int_t)number));
    }
    return json_pack("{s:o}", "enum", all);
}

/* No word of a set has a character that means something in a pattern (but the test of this knows). */
static json_t *set_schema(const json_t *option)
{
    _cleanup_buf_ struct buf pattern = BUF_INIT(64 * 1024), words = BUF_INIT(32 * 1024);
    json_t *choice;
    size_t i;

    json_array_foreach(json_object_get(option, "choices"), i, choice)
        buf_printf(&words, "%s%s", i == 0 ? "" : "|", json_string_value(choice));
    buf_printf(&pattern, "^(%s)(\\+(%s))*$", words.data, words.data);
    return buf_error(&pattern) ? NULL : json_pack("{s:s, s:s}", "type", "string", "pattern", pattern.data);
}

static json_t *pages_schema(const json_t *option)
{
    return json_pack("{s:[s, s], s:i, s:O}", "type", "string", "integer", "minimum", 1, "maxLength",
                     json_object_get(option, "max_length"));
}

static json_t *format_schema(const json_t *option)
{
    return json_pack("{s:s}", "$ref", "#/components/schemas/Format");
}

static json_t *colour_schema(const json_t *option)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", "^(#[0-9a-fA-F]{6}|white|black)$");
}

static json_t *string_schema(const json_t *option)
{
    json_t *schema =
        json_pack("{s:s, s:O}", "type", "string", "maxLength", json_object_get(option, "max_length"));

    if (json_is_true(json_object_get(option, "secret")))
        json_object_set_new(schema, "format", json_string("password"));
    return schema;
}

static const struct {
    const char *type;
    schema_fn *fn;
} types[] = {
    {"integer", integer_schema}, {"boolean", boolean_schema}, {"choice", choice_schema},
    {"set", set_schema},         {"pages", pages_schema},     {"format", format_schema},
    {"colour", colour_schema},   {"string", string_schema},
};

static json_t *schema_of(const json_t *option)
{
    const char *type = json_string_value(json_object_get(option, "type"));

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (str_eq(types[i].type, type))
            return types[i].fn(option);
    return NULL;
}

static bool has(const json_t *array, const json_t *value)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)array, i, one) if (json_equal(one, value)) return true;
    return false;
}

/* One name may be several options, by the engine that takes it: each of them is allowed. Takes over
 * `schema`. */
static int allow(json_t *properties, const json_t *option, json_t *schema)
{
    const char *name = json_string_value(json_object_get(option, "name"));
    json_t *property = json_object_get(properties, name);

    if (!property) {
        property = json_pack("{s:O, s:[]}", "description", json_object_get(option, "label"), "anyOf");
        if (!property || json_object_set_new(properties, name, property) < 0) {
            json_decref(schema);
            return -1;
        }
    }
    if (has(json_object_get(property, "anyOf"), schema)) {
        json_decref(schema);
        return 0;
    }
    return json_array_append_new(json_object_get(property, "anyOf"), schema);
}

json_t *openapi_options(const json_t *catalogue)
{
    _cleanup_json_ json_t *properties = json_object();
    json_t *options = json_object_get(catalogue, "options"), *option;
    const char *id;

    json_object_foreach(options, id, option)
    {
        json_t *schema = schema_of(option);

        if (!schema || allow(properties, option, schema) < 0)
            return NULL;
    }
    return json_pack("{s:s, s:s, s:O, s:b}", "description",
                     "Which of these a source and a target have, `GET /formats` says: others are 400.",
                     "type", "object", "properties", properties, "additionalProperties", 0);
}
