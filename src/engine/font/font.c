/* The font engine: what is only packed in another way is passed on table by table (sfnt.c), WOFF 2 by the
 * tools of its authors, and what has to become other outlines by FontForge. Those are programs in the
 * sandbox.
 *
 * FontForge unpacks what Python has pickled into an SFD: such a font is a program, and refused. */
#include "engine/font/font.h"

#include "core/str.h"
#include "engine/font/sfnt.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define FONTFORGE  "/usr/bin/fontforge"
#define COMPRESS   "/usr/bin/woff2_compress"
#define DECOMPRESS "/usr/bin/woff2_decompress"
#define TO_PCF     "/usr/bin/bdftopcf"

#define PACKED   "ttf otf ttc woff woff2 eot"
#define OUTLINES "pfa pfb sfd dfont"

enum { COST = 10, COST_OUTLINES = 20, PATH_BYTES = 512, BLOCK = 64 << 10 };

/* Type 1 and its kind know neither OpenType's features nor more than 256 encoded characters. */
static const struct engine_conversions conversions[] = {
    {PACKED, "woff woff2", COST, 100, false, NULL},
    {"ttc woff woff2 eot", "ttf otf", COST, 95, false, NULL},
    {"ttf otf", "ttf otf", COST_OUTLINES, 85, false, NULL},
    {OUTLINES, "ttf otf woff woff2", COST_OUTLINES, 85, false, NULL},
    {PACKED " " OUTLINES, "sfd", COST_OUTLINES, 85, false, NULL},
    {PACKED " " OUTLINES, "pfa pfb t42", COST_OUTLINES, 60, false, NULL},
    {"bdf", "otb pcf", COST, 95, false, NULL},
    {0},
};

static const struct engine_option options[] = {{0}};

static const char *const programs[] = {FONTFORGE, COMPRESS, DECOMPRESS, TO_PCF, NULL};

struct work {
    struct engine_job *job;
    struct sfnt *font;
    char result[PATH_BYTES];
};

static enum outcome outcome_of(int r)
{
    switch (r) {
    case 0:
        return OUTCOME_OK;
    case -EBADMSG:
        return OUTCOME_CORRUPT_INPUT;
    case -EOPNOTSUPP:
        return OUTCOME_NO_OUTPUT;
    case -EFBIG:
    case -EMSGSIZE:
    case -ENOMEM:
        return OUTCOME_TOO_COMPLEX;
    default:
        return OUTCOME_INTERNAL;
    }
}

/* In the output folder, where programs may read and write. */
static void work_path(const struct work *w, const char *extension, char ret[PATH_BYTES])
{
    snprintf(ret, PATH_BYTES, "%s/work.%s", w->job->output_path, extension);
}

static int copy(const char *from, const char *to)
{
    static char data[BLOCK];
    _cleanup_fclose_ FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    size_t n;

    if (!in || !out)
        return -errno;
    while ((n = fread(data, 1, sizeof data, in)) > 0)
        if (fwrite(data, 1, n, out) != n)
            return errno ? -errno : -EIO;
    return ferror(in) || fflush(out) != 0 ? -EIO : 0;
}

/* What FontForge does, in its own language: of a damaged font it may have read nothing, which it doesn't
 * mind. It writes metrics beside Type 1, which nobody takes. */
#define OPEN                                                                                                 \
    "Open($1); i = 0; "                                                                                      \
    "while (i < CharCnt() && !WorthOutputting(i)); ++i; endloop; "                                           \
    "if (i == CharCnt()); Error(\"nothing in it\"); endif; "

static const char *find_script(const char *to)
{
    if (str_eq(to, "sfd"))
        return OPEN "Save($2)";
    return str_eq(to, "otb") ? OPEN "Generate($2, \"otb\")" : OPEN "Generate($2)";
}

/* FontForge keeps tables in files that the C library makes in /tmp, wherever TMPDIR is: without namespaces
 * there is none, and it would crash. It succeeds where it has written nothing. */
static enum outcome run_fontforge(const struct work *w, const char *from, const char *to)
{
    const char *const argv[] = {FONTFORGE, "-lang=ff", "-c", find_script(w->job->to->id), from, to, NULL};
    _cleanup_fclose_ FILE *probe = tmpfile();
    enum outcome outcome;
    int status;

    if (!probe)
        return OUTCOME_INTERNAL;
    outcome = tool_run(w->job, argv, NULL, NULL, &status);
    return outcome == OUTCOME_OK && access(to, F_OK) < 0 ? OUTCOME_CORRUPT_INPUT : outcome;
}

static enum outcome run_bdftopcf(const struct work *w)
{
    const char *const argv[] = {TO_PCF, "-o", w->result, w->job->input_path, NULL};
    int status;

    return tool_run(w->job, argv, NULL, NULL, &status);
}

/* --- from the source to its tables */

/* FontForge skips a backslash that ends a line, and with it the line's end. */
static bool is_pickled(const char *path)
{
    static const char word[] = "PickledData";
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    size_t matched = 0;
    int c;

    while (file && (c = getc(file)) != EOF) {
        if (c == '\\' || c == '\n' || c == '\r')
            continue;
        matched = c == word[matched] ? matched + 1 : c == word[0];
        if (word[matched] == '\0')
            return true;
    }
    return !file;
}

static enum outcome load_woff2(struct work *w)
{
    char packed[PATH_BYTES], unpacked[PATH_BYTES];
    const char *const argv[] = {DECOMPRESS, packed, NULL};
    enum outcome outcome;
    int status;

    work_path(w, "woff2", packed);
    work_path(w, "ttf", unpacked);
    if (copy(w->job->input_path, packed) < 0)
        return OUTCOME_INTERNAL;
    outcome = tool_run(w->job, argv, NULL, NULL, &status);
    unlink(packed);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of(sfnt_load(unpacked, &w->font));
    unlink(unpacked);
    return outcome;
}

static enum outcome load_outlines(struct work *w)
{
    char path[PATH_BYTES];
    enum outcome outcome;

    work_path(w, "otf", path);
    outcome = run_fontforge(w, w->job->input_path, path);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of(sfnt_load(path, &w->font));
    unlink(path);
    return outcome;
}

static enum outcome load(struct work *w)
{
    if (words_have(OUTLINES, w->job->from->id))
        return load_outlines(w);
    if (str_eq(w->job->from->id, "woff2"))
        return load_woff2(w);
    return outcome_of(sfnt_load(w->job->input_path, &w->font));
}

/* --- from the tables to the result */

static enum outcome write_woff2(struct work *w)
{
    char path[PATH_BYTES];
    const char *const argv[] = {COMPRESS, path, NULL};
    enum outcome outcome;
    int status;

    /* The tool names what it makes after what it reads. */
    snprintf(path, sizeof path, "%s/result.ttf", w->job->output_path);
    outcome = outcome_of(sfnt_write(w->font, path));
    if (outcome == OUTCOME_OK)
        outcome = tool_run(w->job, argv, NULL, NULL, &status);
    unlink(path);
    return outcome;
}

static enum outcome write_outlines(struct work *w)
{
    char path[PATH_BYTES];
    enum outcome outcome;

    if (!sfnt_has_outlines(w->font))
        return OUTCOME_NO_OUTPUT;
    work_path(w, sfnt_is_postscript(w->font) ? "otf" : "ttf", path);
    outcome = outcome_of(sfnt_write(w->font, path));
    if (outcome == OUTCOME_OK)
        outcome = run_fontforge(w, path, w->result);
    unlink(path);
    return outcome;
}

/* A TrueType font may be called .otf, but one of PostScript's outlines isn't .ttf. */
static bool is_there(const struct work *w)
{
    return str_eq(w->job->to->id, sfnt_is_postscript(w->font) ? "otf" : "ttf");
}

static enum outcome write_result(struct work *w)
{
    if (str_eq(w->job->to->id, "woff"))
        return outcome_of(sfnt_write_woff(w->font, w->result));
    if (str_eq(w->job->to->id, "woff2"))
        return write_woff2(w);
    return is_there(w) ? outcome_of(sfnt_write(w->font, w->result)) : write_outlines(w);
}

static enum outcome convert(struct engine_job *job)
{
    struct work w = {.job = job};
    bool packs = words_have("woff woff2", job->to->id);
    enum outcome outcome;

    engine_name_result(job, job->to->id);
    if (snprintf(w.result, sizeof w.result, "%s/%s", job->output_path, job->output_name) >=
        (int)sizeof w.result)
        return OUTCOME_INTERNAL;
    if (str_eq(job->from->id, "sfd") && is_pickled(job->input_path))
        return OUTCOME_CORRUPT_INPUT;
    if (str_eq(job->to->id, "pcf"))
        return run_bdftopcf(&w);
    if (words_have(OUTLINES " bdf", job->from->id) && !packs)
        return run_fontforge(&w, job->input_path, w.result);
    outcome = load(&w);
    if (outcome == OUTCOME_OK)
        outcome = write_result(&w);
    sfnt_free(w.font);
    return outcome;
}

/* --- in the zygote */

/* "fontforge 20230101" is in the second line, so that it is asked for by a script. */
static void version(char *ret, size_t size)
{
    const char *const argv[] = {FONTFORGE, "-quiet", "-lang=ff", "-c", "Print($version)", NULL};

    tool_version(argv, "", "FontForge", ret, size);
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    return tool_warm(programs,
                     "FontForge or the tools for WOFF 2 are missing (packages fontforge-nox, woff2)", serve,
                     arg, ret_why);
}

const struct engine engine_font = {
    .name = "font",
    .family = "images",
    .policy = policy_keeper,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 2,
    .conversions = conversions,
    .options = options,
    .version = version,
    .warm = warm,
    .convert = convert,
};
