/* The catalogue is compiled from catalogue.inc: what each engine program printed when it was asked with
 * --describe during the build (engine/main.c), in these forms:
 *
 *     ENGINE("office", "documents")
 *     STEP("office", "docx", "pdf", 30, 95, 0, "", "", 0)
 *     OPTION("pdf", "dpi", OPTION_NUMBER, "", "png jpg", 18, 600, 150, "Resolution in dots per inch", "", "")
 *     PASSWORD("pdf", "pdf")
 *     PROGRAM("media", "/usr/bin/ffmpeg")
 *
 * The names become pointers into the format table once, at the first use. */
#include "engine/catalogue.h"

#include "engine/catalogue_parts.h"

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

enum { MANY_COST = 5 };

static const struct step_line {
    enum catalogue_kind kind;
    const char *engine, *from, *to;
    unsigned cost, fidelity;
    bool copies_embedded;
    const char *follows, *asked_by;
    unsigned turn;
} step_lines[] = {
#define STEP(engine, from, to, cost, fidelity, embedded, follows, asked_by, turn)                            \
    {CATALOGUE_CONVERT, engine, from, to, cost, fidelity, embedded, follows, asked_by, turn},
/* What is in it has been scanned file by file. */
#define GATHER(engine, format)  {CATALOGUE_GATHER, engine, format, format, MANY_COST, 100, false, "", "", 0},
#define SCATTER(engine, format) {CATALOGUE_SCATTER, engine, format, format, MANY_COST, 90, false, "", "", 0},
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
    [FORMAT_SUBTITLES] = "srt vtt ass txt",
    [FORMAT_ARCHIVE] = "zip 7z tgz tar txz",
    [FORMAT_FONT] = "woff2 woff ttf otf",
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
        steps[n] = (struct catalogue_step){.kind = line->kind,
                                           .engine = line->engine,
                                           .from = format_by_id(line->from),
                                           .to = format_by_id(line->to),
                                           .cost = line->cost,
                                           .fidelity = line->fidelity,
                                           .copies_embedded = line->copies_embedded,
                                           .follows = line->follows,
                                           .asked_by = line->asked_by,
                                           .turn = line->turn};
        assert(steps[n].from && steps[n].to); /* the engine took its names from the same table */
        n++;
        add_once(engines, line->engine);
    }
    for (const struct family_line *line = family_lines; line->engine; line++)
        add_once(families, line->family);
    add_once(families, CATALOGUE_PREVIEWS);
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

/* --- routes with steps that are asked for: made when one is asked for, and kept */

/* Is `insert` from a format that the route comes by? An engine that converts on it already knows what it is
 * asked. Of many files, it is about the one that they become. */
static bool comes_by(const struct catalogue_route *route, const struct catalogue_step *insert)
{
    bool by = insert->from == route->from;

    if (catalogue_gathers(route))
        return insert->from == route->to;

    for (size_t i = 0; i < route->n_steps; i++) {
        const struct catalogue_step *step = route->steps[i];

        if (step->from != step->to && str_eq(step->engine, insert->engine))
            return false;
        by = by || insert->from == step->to;
    }
    return by;
}

typedef bool insert_wanted_fn(const struct catalogue_step *insert, const struct catalogue_route *route,
                              const json_t *options);

/* Is there any of its options that would mean something here? */
static bool may_be_asked(const struct catalogue_step *insert, const struct catalogue_route *route,
                         const json_t *options)
{
    const char *word;
    size_t len;

    for (const char *p = insert->asked_by; (p = words_next(p, &word, &len));)
        if (catalogue_asks(insert, word, len, route))
            return true;
    return false;
}

/* That a switch is off asks for nothing. */
static bool is_given(const json_t *options, const char *name, size_t len)
{
    const json_t *value = json_object_getn(options, name, len);

    return value && !json_is_false(value);
}

static bool is_asked(const struct catalogue_step *insert, const struct catalogue_route *route,
                     const json_t *options)
{
    const char *word;
    size_t len;

    for (const char *p = insert->asked_by; (p = words_next(p, &word, &len));)
        if (is_given(options, word, len) && catalogue_asks(insert, word, len, route))
            return true;
    return false;
}

static const struct catalogue_route *with_inserts(const struct catalogue_route *route,
                                                  insert_wanted_fn *takes, const json_t *options)
{
    const struct catalogue_step *chosen_inserts[CATALOGUE_INSERTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < plan.n_inserts; i++)
        if (comes_by(route, plan.inserts[i]) && takes(plan.inserts[i], route, options))
            chosen_inserts[n++] = plan.inserts[i];
    return n > 0 ? plan_insert(&plan, route, chosen_inserts, n) : route;
}

const struct catalogue_route *catalogue_route_with(const struct catalogue_route *route, const json_t *options)
{
    if (json_object_get(options, ENGINE_EACH) && catalogue_takes_each(route) && !catalogue_gathers(route))
        route = plan_many(&plan, route->from, route->to, true);
    return json_object_size(options) > 0 ? with_inserts(route, is_asked, options) : route;
}

const struct catalogue_route *catalogue_find_many(const struct format *from, const struct format *to)
{
    pthread_once(&once, resolve);
    return plan_many(&plan, from, to, false);
}

const char *catalogue_why_not_many(const struct format *to)
{
    for (const struct step_line *line = step_lines; to && line->engine; line++)
        if (line->kind == CATALOGUE_GATHER && str_eq(line->to, to->id))
            return "The engine that makes one such file of many does not run on this server.";
    return "Several files can become one PDF or one archive, and nothing else.";
}

const struct catalogue_route *catalogue_as_it_is(const struct format *format)
{
    pthread_once(&once, resolve);
    return plan_nothing(&plan, format);
}

static bool is_of_one_file(const struct catalogue_route *route)
{
    for (size_t i = 0; route && i < route->n_steps; i++)
        if (route->steps[i]->kind != CATALOGUE_CONVERT)
            return false;
    return route;
}

/* What is laid out as a PDF has pages, however far that is. */
static const struct catalogue_route *find_picture(const struct format *of)
{
    const struct format *png = format_by_id("png"), *pdf = format_by_id("pdf");
    const struct catalogue_route *route = catalogue_find(of, png), *to_pdf = catalogue_find(of, pdf),
                                 *from_pdf = catalogue_find(pdf, png);

    if (is_of_one_file(route))
        return route;
    return is_of_one_file(to_pdf) && is_of_one_file(from_pdf) ? plan_join(&plan, to_pdf, from_pdf) : NULL;
}

const struct catalogue_route *catalogue_preview(const struct format *result, const struct format *inside,
                                                const json_t *options)
{
    bool packed = result && inside && result->category == FORMAT_ARCHIVE && inside != result;
    const struct catalogue_route *route = result ? find_picture(packed ? inside : result) : NULL;

    if (!route)
        return NULL;
    route = catalogue_route_with(route, options);
    return packed ? plan_unpack(&plan, result, route) : route;
}

bool catalogue_takes_each(const struct catalogue_route *route)
{
    return route->to->category == FORMAT_ARCHIVE &&
           plan_makes_of_many(&plan, route->from, route->to, !catalogue_gathers(route));
}

const struct format *catalogue_each(const struct catalogue_route *route, const json_t *options)
{
    if (route->to->category != FORMAT_ARCHIVE)
        return route->to;
    return format_by_id(json_string_value(json_object_get(options, ENGINE_EACH)) ?: "");
}

const struct catalogue_route *catalogue_route_whole(const struct catalogue_route *route)
{
    return with_inserts(route, may_be_asked, NULL);
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

/* --- GET /formats */

json_t *catalogue_words_json(const char *list)
{
    json_t *array = json_array();
    const char *word;
    size_t n;

    for (const char *p = list; (p = words_next(p, &word, &n));)
        json_array_append_new(array, json_stringn(word, n));
    return array;
}

/* {"png": ["pdf.dpi", …]}: the targets that have options. */
static json_t *options_json(const struct format *from)
{
    json_t *all = json_object();

    for (size_t i = 0; i < n_formats; i++) {
        const struct catalogue_route *route = catalogue_find(from, &formats[i]);
        json_t *options = route ? catalogue_route_options(catalogue_route_whole(route)) : NULL;

        if (json_array_size(options) > 0)
            json_object_set(all, formats[i].id, options);
        json_decref(options);
    }
    return all;
}

bool catalogue_is_target(const struct format *to)
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

        if (!catalogue_accepts(f) && !catalogue_is_target(f))
            continue;
        json_object_set_new(all, f->id,
                            json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "label", f->label, "category",
                                      format_category_name(f->category), "mime_types",
                                      catalogue_words_json(f->mime_types), "extensions",
                                      catalogue_words_json(f->extensions), "targets", catalogue_targets(f),
                                      "options", options_json(f)));
    }
    return json_pack("{s:o, s:o}", "formats", all, "options", catalogue_options_json());
}
