/* The catalogue is compiled from catalogue.inc: what each engine program printed when it was asked with
 * --describe during the build (engine/main.c), in these forms:
 *
 *     ENGINE("office", "documents")
 *     STEP("office", "docx", "pdf", 30, 95, 0, "")
 *     OPTION("pdf", "dpi", "png jpg zip", 18, 600, 150, "Resolution in dots per inch")
 *     PASSWORD("pdf", "pdf")
 *     PROGRAM("media", "/usr/bin/ffmpeg")
 *
 * The names become pointers into the format table once, at the first use. */
#include "engine/catalogue.h"

#include "core/str.h"
#include "engine/engine.h"
#include "engine/plan.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { ENGINES_MAX = 16, NAMES_BYTES = 256 };

static const struct step_line {
    const char *engine, *from, *to;
    unsigned cost, fidelity;
    bool copies_embedded;
    const char *follows;
} step_lines[] = {
#define STEP(engine, from, to, cost, fidelity, embedded, follows)                                            \
    {engine, from, to, cost, fidelity, embedded, follows},
#include "engine/catalogue_lines.h"
    {0},
};

static const struct option_line {
    const char *engine, *name;
    const char *sources, *targets; /* NULL: all */
    long min, max, fallback;       /* of a password, its characters */
    const char *label;
    bool password;
} option_lines[] = {
#define OPTION(engine, name, targets, min, max, fallback, label)                                             \
    {engine, name, NULL, targets, min, max, fallback, label, false},
#define PASSWORD(engine, sources)                                                                            \
    {engine, ENGINE_PASSWORD, sources, NULL, 1, ENGINE_PASSWORD_MAX, 0, "Password of the document", true},
#include "engine/catalogue_lines.h"
    {0},
};

/* What people want most of a file of this kind, the likeliest first. Other targets follow by cost. */
static const char *const wanted[] = {
    [FORMAT_DOCUMENT] = "pdf docx odt txt html rtf",
    [FORMAT_SPREADSHEET] = "pdf xlsx csv ods html",
    [FORMAT_PRESENTATION] = "pdf pptx odp png jpg",
    [FORMAT_DRAWING] = "pdf svg png jpg",
    [FORMAT_IMAGE] = "jpg png webp pdf",
    [FORMAT_PDF] = "png jpg txt html docx svg",
    [FORMAT_TEXT] = "pdf docx odt html txt",
    [FORMAT_AUDIO] = "mp3 m4a wav flac ogg opus",
    [FORMAT_VIDEO] = "mp4 webm mov mkv mp3 gif",
    [FORMAT_ARCHIVE] = "",
};

static const struct family_line {
    const char *engine, *family;
} family_lines[] = {
#define ENGINE(engine, family) {engine, family},
#include "engine/catalogue_lines.h"
    {0},
};

static const struct program_line {
    const char *engine, *path;
} program_lines[] = {
#define PROGRAM(engine, path) {engine, path},
#include "engine/catalogue_lines.h"
    {0},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct catalogue_step steps[ARRAY_SIZE(step_lines)];
static struct plan plan; /* kept for the life of the process */
static const char *engines[ENGINES_MAX + 1], *families[ENGINES_MAX + 1];
static char names[NAMES_BYTES]; /* the engines', for people and settings */
static const char *chosen;      /* NULL: all */
static bool here;               /* … of which the programs are here */

static void add_once(const char *list[], const char *name)
{
    size_t n = 0;

    while (list[n] && !str_eq(list[n], name))
        n++;
    assert(n < ENGINES_MAX);
    list[n] = name;
}

static void join_names(void)
{
    size_t len = 0;

    names[0] = '\0';
    for (size_t i = 0; engines[i] && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i > 0 ? " " : "", engines[i]);
    assert(len < sizeof names);
}

static void resolve(void)
{
    size_t n = 0;

    memset(engines, 0, sizeof engines);
    for (const struct step_line *line = step_lines; line->engine; line++) {
        if ((chosen && !words_have(chosen, line->engine)) ||
            (here && catalogue_missing_program(line->engine)))
            continue;
        steps[n] = (struct catalogue_step){line->engine, format_by_id(line->from), format_by_id(line->to),
                                           line->cost,   line->fidelity,           line->copies_embedded,
                                           line->follows};
        assert(steps[n].from && steps[n].to); /* the engine took its names from the same table */
        n++;
        add_once(engines, line->engine);
    }
    for (const struct family_line *line = family_lines; line->engine; line++)
        add_once(families, line->family);
    join_names();
    plan_free(&plan);
    plan_make(steps, n, &plan);
}

void catalogue_choose(const char *words)
{
    pthread_once(&once, resolve); /* no later: it would choose again */
    chosen = words;
    resolve();
}

void catalogue_leave_out_missing(void)
{
    pthread_once(&once, resolve);
    here = true;
    resolve();
}

const char *catalogue_missing_program(const char *engine)
{
    for (const struct program_line *line = program_lines; line->engine; line++)
        if (str_eq(line->engine, engine) && access(line->path, X_OK) < 0)
            return line->path;
    return NULL;
}

const char *catalogue_names(void)
{
    pthread_once(&once, resolve);
    return names;
}

const struct catalogue_route *catalogue_find(const struct format *from, const struct format *to)
{
    pthread_once(&once, resolve);
    return plan_find(&plan, from, to);
}

bool catalogue_accepts(const struct format *from)
{
    for (size_t i = 0; i < n_formats; i++)
        if (catalogue_find(from, &formats[i]))
            return true;
    return false;
}

const char *const *catalogue_engines(void)
{
    pthread_once(&once, resolve);
    return engines;
}

const char *const *catalogue_families(void)
{
    pthread_once(&once, resolve);
    return families;
}

const char *catalogue_family(const char *engine)
{
    for (const struct family_line *line = family_lines; line->engine; line++)
        if (str_eq(line->engine, engine))
            return line->family;
    return NULL;
}

const char *catalogue_route_engine(const struct catalogue_route *route)
{
    const struct catalogue_step *most = route->steps[0];

    for (size_t i = 1; i < route->n_steps; i++)
        if (route->steps[i]->cost > most->cost)
            most = route->steps[i];
    return most->engine;
}

const char *catalogue_route_family(const struct catalogue_route *route)
{
    return catalogue_family(catalogue_route_engine(route));
}

/* --- targets in their order */

static size_t rank(const struct format *from, const struct format *to)
{
    const char *word;
    size_t n, i = 0;

    for (const char *p = wanted[from->category]; (p = words_next(p, &word, &n)); i++)
        if (strlen(to->id) == n && memcmp(to->id, word, n) == 0)
            return i;
    return SIZE_MAX;
}

static int by_likelihood(const void *a, const void *b)
{
    const struct catalogue_route *x = *(const struct catalogue_route *const *)a;
    const struct catalogue_route *y = *(const struct catalogue_route *const *)b;
    size_t rx = rank(x->from, x->to), ry = rank(y->from, y->to);

    if (rx != ry)
        return rx < ry ? -1 : 1;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->to < y->to ? -1 : 1;
}

/* The routes from `from`, one for each target: their number, and a new array. */
static size_t sorted_routes(const struct format *from, const struct catalogue_route ***ret)
{
    const struct catalogue_route **list = calloc(n_formats, sizeof *list);
    size_t n = 0;

    for (size_t i = 0; list && i < n_formats; i++)
        if ((list[n] = catalogue_find(from, &formats[i])))
            n++;
    if (n > 0)
        qsort(list, n, sizeof *list, by_likelihood);
    *ret = list;
    return n;
}

json_t *catalogue_targets(const struct format *from)
{
    _cleanup_free_ const struct catalogue_route **list = NULL;
    size_t n = sorted_routes(from, &list);
    json_t *targets = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(targets, json_string(list[i]->to->id));
    return targets;
}

/* --- options */

/* What opens the document is for the first step: what that has made is open. */
static bool applies(const struct option_line *o, const struct catalogue_route *route, size_t i)
{
    const struct catalogue_step *step = route->steps[i];

    return str_eq(o->engine, step->engine) && (!o->sources || words_have(o->sources, step->from->id)) &&
           (!o->targets || words_have(o->targets, step->to->id)) && (!o->password || i == 0);
}

static bool applies_somewhere(const struct option_line *o, const struct catalogue_route *route)
{
    for (size_t i = 0; i < route->n_steps; i++)
        if (applies(o, route, i))
            return true;
    return false;
}

static const struct option_line *find_option(const struct catalogue_route *route, const char *name)
{
    for (const struct option_line *o = option_lines; o->engine; o++)
        if (applies_somewhere(o, route) && str_eq(o->name, name))
            return o;
    return NULL;
}

static long count_characters(const char *utf8)
{
    long n = 0;

    for (; *utf8; utf8++)
        n += (*utf8 & 0xc0) != 0x80;
    return n;
}

/* 0 or -EINVAL with the sentence. */
static int check_number(const struct option_line *o, const json_t *value, char *ret_why, size_t size)
{
    if (json_is_integer(value) && json_integer_value(value) >= o->min && json_integer_value(value) <= o->max)
        return 0;
    snprintf(ret_why, size, "The option \"%s\" must be a whole number from %ld to %ld.", o->name, o->min,
             o->max);
    return -EINVAL;
}

static int check_password(const struct option_line *o, const json_t *value, char *ret_why, size_t size)
{
    const char *text = json_string_value(value);
    long n = text ? count_characters(text) : -1;

    if (n >= o->min && n <= o->max)
        return 0;
    snprintf(ret_why, size, "The option \"%s\" must be a text of %ld to %ld characters.", o->name, o->min,
             o->max);
    return -EINVAL;
}

int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size)
{
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
        const struct option_line *o = find_option(route, name);

        if (!o) { /* whose name may be anything: it is not repeated */
            snprintf(ret_why, size, "There is an option that a conversion into %s does not have.",
                     route->to->id);
            return -EINVAL;
        }
        if ((o->password ? check_password : check_number)(o, value, ret_why, size) < 0)
            return -EINVAL;
    }
    return 0;
}

bool catalogue_takes_password(const struct catalogue_route *route)
{
    const struct option_line *o = find_option(route, ENGINE_PASSWORD);

    return o && o->password;
}

/* --- GET /formats */

static json_t *words_json(const char *list)
{
    json_t *array = json_array();
    const char *word;
    size_t n;

    for (const char *p = list; (p = words_next(p, &word, &n));)
        json_array_append_new(array, json_stringn(word, n));
    return array;
}

/* A fallback outside the bounds means that the option is not applied: no default. */
static json_t *option_json(const struct option_line *o)
{
    bool applied = o->fallback >= o->min && o->fallback <= o->max;

    if (o->password)
        return json_pack("{s:s, s:s, s:b, s:I}", "type", "string", "label", o->label, "secret", 1,
                         "max_length", (json_int_t)o->max);
    return json_pack("{s:s, s:s, s:I, s:I, s:o}", "type", "integer", "label", o->label, "min",
                     (json_int_t)o->min, "max", (json_int_t)o->max, "default",
                     applied ? json_integer(o->fallback) : json_null());
}

static json_t *route_options_json(const struct catalogue_route *route)
{
    json_t *options = json_object();

    for (const struct option_line *o = option_lines; o->engine; o++)
        if (applies_somewhere(o, route))
            json_object_set_new(options, o->name, option_json(o));
    return options;
}

/* {"png": {"dpi": {…}}}: the targets that have options. */
static json_t *options_json(const struct format *from)
{
    json_t *all = json_object();

    for (size_t i = 0; i < n_formats; i++) {
        const struct catalogue_route *route = catalogue_find(from, &formats[i]);
        json_t *options = route ? route_options_json(route) : NULL;

        if (options && json_object_size(options) > 0)
            json_object_set(all, formats[i].id, options);
        json_decref(options);
    }
    return all;
}

static bool is_target(const struct format *to)
{
    for (size_t i = 0; i < n_formats; i++)
        if (catalogue_find(&formats[i], to))
            return true;
    return false;
}

json_t *catalogue_json(void)
{
    json_t *all = json_object();

    for (size_t i = 0; i < n_formats; i++) {
        const struct format *f = &formats[i];

        if (!catalogue_accepts(f) && !is_target(f))
            continue;
        json_object_set_new(all, f->id,
                            json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "label", f->label, "category",
                                      format_category_name(f->category), "mime_types",
                                      words_json(f->mime_types), "extensions", words_json(f->extensions),
                                      "targets", catalogue_targets(f), "options", options_json(f)));
    }
    return json_pack("{s:o}", "formats", all);
}
