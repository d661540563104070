/* The options of the catalogue: which of them a route has, what they may be, and what each step gets. Theirs
 * are the lines OPTION and PASSWORD (catalogue.c says where they come from). */
#include "engine/catalogue_parts.h"
#include "engine/colour.h"
#include "engine/engine.h"
#include "engine/page_range.h"
#include "engine/secrets.h"

#include "core/str.h"

#include <errno.h>
#include <stdio.h>

enum {
    ID_MAX = 64,
    NUMBER_MAX = 24,
    NAME_TOLD_MAX = 64,
    CHOICES_TOLD_MAX = 120 /* bytes: a sentence has to end */
};

static const struct option_line {
    const char *engine, *name;
    enum option_kind kind;
    const char *sources, *targets; /* "": all */
    long min, max, fallback;
    const char *label, *choices, *chosen;
} option_lines[] = {
#define OPTION(engine, name, kind, sources, targets, min, max, fallback, label, choices, chosen)             \
    {engine, name, kind, sources, targets, min, max, fallback, label, choices, chosen},
#define PASSWORD(engine, sources)                                                                            \
    {engine,                                                                                                 \
     ENGINE_PASSWORD,                                                                                        \
     OPTION_SECRET,                                                                                          \
     sources,                                                                                                \
     "",                                                                                                     \
     1,                                                                                                      \
     ENGINE_PASSWORD_MAX,                                                                                    \
     0,                                                                                                      \
     "Password of the document",                                                                             \
     "",                                                                                                     \
     ""},
#include "engine/catalogue_lines.h"
    /* no engine's */
    {"", ENGINE_EACH, OPTION_FORMAT, "", "", 0, 0, 0, "What each file in the archive becomes", "", ""},
    {0},
};

/* --- where they apply */

static bool is_for(const char *list, const struct format *f)
{
    return !*list || words_have(list, f->id);
}

static bool converts(const struct catalogue_step *step)
{
    return step->from != step->to;
}

static bool is_last_conversion(const struct catalogue_route *route, size_t i)
{
    for (size_t k = i + 1; k < route->n_steps; k++)
        if (converts(route->steps[k]))
            return false;
    return true;
}

/* What is about the source alone is for the first step: what that has made is another file. */
static bool applies(const struct option_line *o, const struct catalogue_route *route, size_t i)
{
    const struct catalogue_step *step = route->steps[i];

    if (step->kind == CATALOGUE_GATHER || !str_eq(o->engine, step->engine) || !is_for(o->targets, route->to))
        return false;
    if (*o->sources)
        return words_have(o->sources, step->from->id) && (i == 0 || *o->targets);
    if (step->kind == CATALOGUE_SCATTER)
        return false;
    if (converts(step))
        return is_last_conversion(route, i);
    return step->turn == 0 || words_have(step->asked_by, o->name);
}

static bool applies_somewhere(const struct option_line *o, const struct catalogue_route *route)
{
    if (!*o->engine)
        return catalogue_takes_each(route);
    for (size_t i = 0; i < route->n_steps; i++)
        if (applies(o, route, i))
            return true;
    return false;
}

/* Does a conversion on the route do that by itself? */
static bool converts_by(const struct option_line *o, const struct catalogue_route *route)
{
    for (size_t i = 0; i < route->n_steps; i++)
        if (converts(route->steps[i]) && applies(o, route, i))
            return true;
    return false;
}

static bool is_done_in_passing(const char *name, size_t len, const struct catalogue_route *route)
{
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0 && converts_by(o, route))
            return true;
    return false;
}

bool catalogue_asks(const struct catalogue_step *step, const char *name, size_t len,
                    const struct catalogue_route *route)
{
    if (is_done_in_passing(name, len, route))
        return false;
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (str_eq(o->engine, step->engine) && strlen(o->name) == len && memcmp(o->name, name, len) == 0 &&
            is_for(o->targets, route->to))
            return true;
    return false;
}

static const struct option_line *find_option(const struct catalogue_route *route, const char *name)
{
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (str_eq(o->name, name) && applies_somewhere(o, route))
            return o;
    return NULL;
}

/* --- what they may be */

static bool is_number(const struct option_line *o, const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= o->min &&
           json_integer_value(value) <= o->max;
}

static bool is_switch(const json_t *value)
{
    return json_is_boolean(value) ||
           (json_is_integer(value) && (json_integer_value(value) == 0 || json_integer_value(value) == 1));
}

static bool is_choice(const struct option_line *o, const char *word, size_t len)
{
    const char *choice;
    size_t n;

    for (const char *p = o->choices; (p = words_next(p, &choice, &n));)
        if (n == len && memcmp(choice, word, n) == 0)
            return true;
    return false;
}

static bool is_set(const struct option_line *o, const char *text)
{
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, "+");

        if (!is_choice(o, p, len))
            return false;
        p += len;
        if (!*p)
            return true;
    }
}

static bool is_colour(const char *text)
{
    struct colour ignored;

    return colour_parse(text, &ignored);
}

static bool is_text(const struct option_line *o, const char *text)
{
    long n = 0;

    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 && o->kind != OPTION_SECRET)
            return false;
        n += (*p & 0xc0) != 0x80;
    }
    return n >= o->min && n <= o->max;
}

/* What is written in digits may come as a number. */
static const char *text_of(const json_t *value, char number[NUMBER_MAX])
{
    if (!json_is_integer(value))
        return json_string_value(value);
    snprintf(number, NUMBER_MAX, "%lld", (long long)json_integer_value(value));
    return number;
}

static bool is_valid(const struct option_line *o, const json_t *value)
{
    char number[NUMBER_MAX];
    const char *text = text_of(value, number);

    switch (o->kind) {
    case OPTION_NUMBER:
        return is_number(o, value);
    case OPTION_SWITCH:
        return is_switch(value);
    case OPTION_CHOICE:
        return text && is_choice(o, text, strlen(text));
    case OPTION_SET:
        return text && is_set(o, text);
    case OPTION_PAGES:
        return text && strlen(text) <= (size_t)o->max && page_range_is_valid(text);
    case OPTION_FORMAT:
        return text && format_by_id(text) && catalogue_is_target(format_by_id(text));
    case OPTION_COLOUR:
        return text && is_colour(text);
    case OPTION_TEXT:
        return text && is_text(o, text);
    case OPTION_SECRET:
        return json_is_string(value) && is_text(o, text);
    case OPTION_KINDS_:
        break;
    }
    return false;
}

static const char *tell_choices(const struct option_line *o)
{
    return strlen(o->choices) <= CHOICES_TOLD_MAX ? o->choices : "what the list of formats says";
}

static void tell_what_it_may_be(const struct option_line *o, char *ret_why, size_t size)
{
    switch (o->kind) {
    case OPTION_NUMBER:
        snprintf(ret_why, size, "The option \"%s\" must be a whole number from %ld to %ld.", o->name, o->min,
                 o->max);
        return;
    case OPTION_SWITCH:
        snprintf(ret_why, size, "The option \"%s\" must be true or false.", o->name);
        return;
    case OPTION_CHOICE:
        snprintf(ret_why, size, "The option \"%s\" must be one of: %s.", o->name, tell_choices(o));
        return;
    case OPTION_SET:
        snprintf(ret_why, size, "The option \"%s\" must be some of these, with \"+\" between: %s.", o->name,
                 tell_choices(o));
        return;
    case OPTION_PAGES:
        snprintf(
            ret_why, size,
            "The option \"%s\" must be pages such as \"1-3,7,z\", where z is the last one, in at most %ld "
            "characters.",
            o->name, o->max);
        return;
    case OPTION_FORMAT:
        snprintf(ret_why, size, "The option \"%s\" must be the id of a format that something can become.",
                 o->name);
        return;
    case OPTION_COLOUR:
        snprintf(ret_why, size, "The option \"%s\" must be a colour such as \"#ff8000\", or white or black.",
                 o->name);
        return;
    case OPTION_TEXT:
    case OPTION_SECRET:
    case OPTION_KINDS_:
        snprintf(ret_why, size, "The option \"%s\" must be a text of %ld to %ld characters.", o->name, o->min,
                 o->max);
        return;
    }
}

/* Whose name may be anything: what no option could be called is not repeated. */
static void tell_unknown(const struct catalogue_route *route, const char *name, char *ret_why, size_t size)
{
    if (str_is_plain(name, NAME_TOLD_MAX))
        snprintf(ret_why, size, "A conversion from %s into %s has no option \"%s\".", route->from->id,
                 route->to->id, name);
    else
        snprintf(ret_why, size, "There is an option that a conversion into %s does not have.", route->to->id);
}

int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size)
{
    const struct catalogue_route *whole = catalogue_route_whole(route);
    const char *name;
    json_t *value;

    if (!options)
        return 0;
    if (!json_is_object(options)) {
        snprintf(ret_why, size, "The options must be an object.");
        return -EINVAL;
    }
    json_object_foreach((json_t *)options, name, value)
    {
        const struct option_line *o = find_option(whole, name);

        if (!o) {
            tell_unknown(route, name, ret_why, size);
            return -EINVAL;
        }
        if (!is_valid(o, value)) {
            tell_what_it_may_be(o, ret_why, size);
            return -EINVAL;
        }
    }
    return 0;
}

bool catalogue_has_option(const char *name)
{
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (str_eq(o->name, name))
            return true;
    return false;
}

static json_t *value_of_text(const struct option_line *o, const char *text)
{
    const bool negative = *text == '-';
    uint64_t number;

    if (o->kind == OPTION_SWITCH && (str_eq(text, "true") || str_eq(text, "false")))
        return json_boolean(str_eq(text, "true"));
    if ((o->kind != OPTION_NUMBER && o->kind != OPTION_SWITCH) ||
        str_to_u64(text + negative, 0, INT64_MAX, &number) < 0)
        return json_string(text);
    return json_integer(negative ? -(json_int_t)number : (json_int_t)number);
}

int catalogue_option_of_text(const struct catalogue_route *route, const char *name, const char *text,
                             json_t **ret)
{
    const struct option_line *o = find_option(catalogue_route_whole(route), name);

    if (!o)
        return -ENOENT;
    *ret = value_of_text(o, text);
    return *ret ? 0 : -EINVAL;
}

bool catalogue_takes_password(const struct catalogue_route *route)
{
    return find_option(route, ENGINE_PASSWORD);
}

/* --- what each step gets */

static const struct option_line *find_for_step(const struct catalogue_route *route, size_t step,
                                               const char *name)
{
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (str_eq(o->name, name) && applies(o, route, step))
            return o;
    return NULL;
}

/* A number stays one where it is one; new. */
static json_t *as_its_kind(const struct option_line *o, json_t *value)
{
    char number[NUMBER_MAX];

    return o->kind == OPTION_NUMBER || o->kind == OPTION_SWITCH || !json_is_integer(value)
               ? json_incref(value)
               : json_string(text_of(value, number));
}

int catalogue_step_options(const struct catalogue_route *route, size_t step, const char *options, char **ret)
{
    _cleanup_json_ json_t *all = json_loads(options, JSON_REJECT_DUPLICATES, NULL), *own = json_object();
    const char *name;
    json_t *value;

    if (!json_is_object(all) || !own)
        return -EINVAL;
    json_object_foreach(all, name, value)
    {
        const struct option_line *o = find_for_step(route, step, name);

        if (o && json_object_set_new(own, name, as_its_kind(o, value)) < 0)
            return -ENOMEM;
    }
    *ret = json_dumps(own, JSON_COMPACT);
    secrets_wipe(all); /* `own` has the same strings */
    return *ret ? 0 : -ENOMEM;
}

/* --- what they come to */

static json_t *fallback_json(const struct option_line *o);

/* Of an option with several rows an engine goes by the file it has: which row that is, isn't known here. */
static bool is_only_row(const struct option_line *o)
{
    for (const struct option_line *other = option_lines; other->engine; other++)
        if (other != o && str_eq(other->engine, o->engine) && str_eq(other->name, o->name))
            return false;
    return true;
}

/* New; NULL: the option is not applied, or nobody can tell. */
static json_t *effective_value(const struct option_line *o, const json_t *given)
{
    if (!given)
        return o->kind != OPTION_SECRET && is_only_row(o) ? fallback_json(o) : NULL;
    if (o->kind == OPTION_SWITCH && json_is_integer(given))
        return json_boolean(json_integer_value(given));
    return as_its_kind(o, (json_t *)given);
}

static json_t *effective_step(const struct catalogue_route *route, size_t i, const json_t *options)
{
    const struct catalogue_step *step = route->steps[i];
    json_t *values = json_object();

    for (const struct option_line *o = option_lines; o->engine; o++) {
        json_t *value = find_for_step(route, i, o->name) == o
                            ? effective_value(o, json_object_get(options, o->name))
                            : NULL;

        if (value && !json_is_null(value))
            json_object_set(values, o->name, value);
        json_decref(value);
    }
    return json_pack("[s, s, s, o]", step->engine, step->from->id, step->to->id, values);
}

json_t *catalogue_effective(const struct catalogue_route *route, const json_t *options)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < route->n_steps; i++)
        if (json_array_append_new(steps, effective_step(route, i, options)) < 0) {
            json_decref(steps);
            return NULL;
        }
    return steps;
}

/* --- in GET /formats */

/* "pdf.dpi"; an option of several rows has "image.quality", "image.quality2", … */
static void make_id(const struct option_line *o, char ret[ID_MAX])
{
    unsigned n = 1;

    for (const struct option_line *before = option_lines; before < o; before++)
        n += str_eq(before->engine, o->engine) && str_eq(before->name, o->name);
    snprintf(ret, ID_MAX, "%s%s%s", o->engine, *o->engine ? "." : "", o->name);
    if (n > 1)
        snprintf(ret + strlen(ret), ID_MAX - strlen(ret), "%u", n);
}

static const char *type_of(const struct option_line *o)
{
    static const char *const types[OPTION_KINDS_] = {
        [OPTION_NUMBER] = "integer", [OPTION_SWITCH] = "boolean", [OPTION_CHOICE] = "choice",
        [OPTION_SET] = "set",        [OPTION_PAGES] = "pages",    [OPTION_TEXT] = "string",
        [OPTION_SECRET] = "string",  [OPTION_FORMAT] = "format",  [OPTION_COLOUR] = "colour",
    };

    return types[o->kind];
}

/* A fallback outside the bounds means that the option is not applied: no default. */
static json_t *fallback_json(const struct option_line *o)
{
    if (o->kind == OPTION_SWITCH)
        return json_boolean(o->fallback);
    if (o->kind == OPTION_NUMBER)
        return o->fallback >= o->min && o->fallback <= o->max ? json_integer(o->fallback) : json_null();
    return *o->chosen ? json_string(o->chosen) : json_null();
}

static json_t *option_json(const struct option_line *o)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "name", o->name, "type", type_of(o), "label", o->label);

    if (o->kind == OPTION_NUMBER) {
        json_object_set_new(json, "min", json_integer(o->min));
        json_object_set_new(json, "max", json_integer(o->max));
    }
    if (*o->choices)
        json_object_set_new(json, "choices", catalogue_words_json(o->choices));
    if (o->kind == OPTION_TEXT || o->kind == OPTION_PAGES || o->kind == OPTION_SECRET)
        json_object_set_new(json, "max_length", json_integer(o->max));
    if (o->kind == OPTION_SECRET)
        json_object_set_new(json, "secret", json_true());
    else
        json_object_set_new(json, "default", fallback_json(o));
    return json;
}

json_t *catalogue_options_json(void)
{
    json_t *all = json_object();
    char id[ID_MAX];

    for (const struct option_line *o = option_lines; o->engine; o++) {
        make_id(o, id);
        json_object_set_new(all, id, option_json(o));
    }
    return all;
}

/* Of one name the first counts, as it does in find_option(). */
json_t *catalogue_route_options(const struct catalogue_route *route)
{
    json_t *ids = json_array();
    char id[ID_MAX];

    for (const struct option_line *o = option_lines; o->engine; o++) {
        if (find_option(route, o->name) != o)
            continue;
        make_id(o, id);
        json_array_append_new(ids, json_string(id));
    }
    return ids;
}
