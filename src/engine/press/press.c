/* The press engine: Ghostscript, as a program in the sandbox, for PostScript, and for PDFs that are to be
 * printed, archived (PDF/A) or made smaller.
 *
 * PostScript is a program: it runs with -dSAFER behind all the layers of a tool, where there is nothing to
 * read, and ends at its deadline. Of a damaged PDF Ghostscript leaves out what it can't read and calls that a
 * success, so qpdf counts the pages before and after. A password never reaches it, as the words of a command
 * can be read: qpdf makes a document of it first that needs none. */
#include "engine/press/press.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "engine/pages/work.h"
#include "engine/press/archival.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <stdio.h>

#define GHOSTSCRIPT "/usr/bin/gs"
#define PROFILE     "/usr/share/color/icc/ghostscript/srgb.icc"
#define PAPER       "document spreadsheet presentation drawing text"

enum { COST = 30, TURN = 5, WORDS_MAX = 48, WORD_BYTES = 512 };

static const struct engine_conversions conversions[] = {
    {"ps eps", "pdf", COST, 95, false, NULL},
    {"pdf", "ps", COST, 90, false, PAPER},
    {"pdf", "eps", COST, 45, false, PAPER}, /* the first page */
    {"pdf", "pdf", COST, 90, true, .asked_by = "pdfa image_dpi", .turn = TURN},
    {0},
};

static const struct engine_option options[] = {
    {"pdfa", "pdf", 0, 0, 0, "Part of PDF/A, for archives", OPTION_CHOICE, "1b 2b 3b"},
    {"image_dpi", "pdf", 36, 1200, 0, "Largest resolution of pictures in dots per inch"},
    {0},
};

static const char *const programs[] = {GHOSTSCRIPT, NULL};
/* Fonts for text whose fonts are not in the file. */
static const char *const read_paths[] = {"/etc/fonts", "/var/cache/fontconfig", "/var/lib/ghostscript/fonts",
                                         NULL};

/* --- the command line */

struct words {
    const char *argv[WORDS_MAX + 1];
    size_t n;
    char store[4][WORD_BYTES]; /* of those that are made */
    size_t n_stored;
};

static void add(struct words *w, const char *word)
{
    if (w->n < WORDS_MAX)
        w->argv[w->n++] = word;
}

static void add_all(struct words *w, const char *const list[])
{
    for (size_t i = 0; list[i]; i++)
        add(w, list[i]);
}

__attribute__((format(printf, 2, 3))) static void add_made(struct words *w, const char *format, ...)
{
    char *word = w->store[w->n_stored++];
    va_list ap;

    va_start(ap, format);
    vsnprintf(word, WORD_BYTES, format, ap);
    va_end(ap);
    add(w, word);
}

/* The colours are those of the screen, whose profile is part of the file: the output intent that PDF/A asks
 * for. What its rules forbid (scripts, sounds, …) is left out. */
static const char *const archive_words[] = {"-dPDFACompatibilityPolicy=1", "-sColorConversionStrategy=RGB",
                                            "--permit-file-read=" PROFILE, NULL};
static const char intent[] =
    "[/_objdef {profile} /type /stream /OBJ pdfmark [{profile} <</N 3>> /PUT pdfmark"
    " [{profile} (" PROFILE ") (r) file /PUT pdfmark [/_objdef {intent} /type /dict /OBJ pdfmark"
    " [{intent} <</Type /OutputIntent /S /GTS_PDFA1 /DestOutputProfile {profile}"
    " /OutputConditionIdentifier (sRGB) /Info (sRGB)>> /PUT pdfmark"
    " [{Catalog} <</OutputIntents [{intent}]>> /PUT pdfmark";

static const char *const fewer_dots[] = {"-dDownsampleColorImages=true",
                                         "-dDownsampleGrayImages=true",
                                         "-dDownsampleMonoImages=true",
                                         "-dColorImageDownsampleType=/Bicubic",
                                         "-dGrayImageDownsampleType=/Bicubic",
                                         "-dColorImageDownsampleThreshold=1.0",
                                         "-dGrayImageDownsampleThreshold=1.0",
                                         "-dMonoImageDownsampleThreshold=1.0",
                                         NULL};

/* Ghostscript by itself makes JPEG of pictures that were packed without loss. */
static const char *const every_dot[] = {"-dAutoFilterColorImages=false", "-dColorImageFilter=/FlateEncode",
                                        "-dAutoFilterGrayImages=false", "-dGrayImageFilter=/FlateEncode",
                                        NULL};

/* Black and white has no greys to make up for dots that are gone: it keeps twice as many. */
static void add_resolution(struct words *w, long dpi)
{
    add_all(w, fewer_dots);
    add_made(w, "-dColorImageResolution=%ld", dpi);
    add_made(w, "-dGrayImageResolution=%ld", dpi);
    add_made(w, "-dMonoImageResolution=%ld", 2 * dpi);
}

static const char *part_of(const struct engine_job *job)
{
    return str_eq(job->to->id, "pdf") ? engine_option_text(job, options, "pdfa") : NULL;
}

static void add_device(struct words *w, const struct engine_job *job)
{
    static const char *const ps[] = {"-sDEVICE=ps2write", NULL};
    static const char *const eps[] = {"-sDEVICE=eps2write", "-dLastPage=1", NULL};
    static const char *const pdf[] = {"-sDEVICE=pdfwrite", NULL};
    /* A page with transparency becomes a picture in part 1: of so many dots. */
    static const char *const parts[][3] = {{"-dPDFA=1", "-r300", NULL}, {"-dPDFA=2"}, {"-dPDFA=3"}};
    const char *part = part_of(job);
    long dpi = engine_option_value(job, options, "image_dpi");

    add_all(w, str_eq(job->to->id, "ps") ? ps : str_eq(job->to->id, "eps") ? eps : pdf);
    if (part) {
        add_all(w, parts[*part - '1']);
        add_all(w, archive_words);
    }
    if (dpi > 0)
        add_resolution(w, dpi);
    else if (str_eq(job->to->id, "pdf"))
        add_all(w, every_dot);
}

/* How many pages there were is asked of PostScript at its end. */
static void make_command(struct words *w, const struct engine_job *job, const char *input, const char *output)
{
    static const char *const first[] = {GHOSTSCRIPT, "-dSAFER", "-dNOPAUSE", "-dBATCH", NULL};
    static const char *const count[] = {"-c", "(PageCount ) print currentpagedevice /PageCount get =", NULL};

    add_all(w, first);
    add_device(w, job);
    if (str_eq(job->from->id, "eps"))
        add(w, "-dEPSCrop");
    add_made(w, "-sOutputFile=%s", output);
    if (part_of(job)) {
        add(w, "-c");
        add(w, intent);
    }
    add(w, "-f");
    add(w, input);
    if (!str_eq(job->from->id, "pdf"))
        add_all(w, count);
    w->argv[w->n] = NULL;
}

/* --- what it says */

struct listener {
    struct engine_job *job;
    enum outcome why; /* OUTCOME_OK: it has not said */
};

static uint64_t number_after(const char *line, const char *prefix)
{
    uint64_t n = 0;

    return str_starts(line, prefix) && str_to_u64(line + strlen(prefix), 0, UINT32_MAX, &n) == 0 ? n : 0;
}

static void listen(void *arg, const char *line)
{
    static const struct {
        const char *text;
        enum outcome outcome;
    } reasons[] = {
        {"/VMerror", OUTCOME_TOO_COMPLEX},
        {"No space left on device", OUTCOME_TOO_COMPLEX},
        {"page not found", OUTCOME_CORRUPT_INPUT},
        {"Couldn't initialise file", OUTCOME_CORRUPT_INPUT},
        {"reverting to normal PDF output", OUTCOME_NO_OUTPUT},
    };
    struct listener *l = arg;
    uint64_t page = number_after(line, "Page "), count = number_after(line, "PageCount ");

    if (page > 0 && l->job->pages > 0)
        engine_progress(l->job, (unsigned)(page * 99 / l->job->pages));
    if (count > 0)
        l->job->pages = count;
    else if (str_starts(line, "PageCount 0"))
        l->why = OUTCOME_NO_OUTPUT;
    for (size_t i = 0; l->why == OUTCOME_OK && i < ARRAY_SIZE(reasons); i++)
        if (strstr(line, reasons[i].text))
            l->why = reasons[i].outcome;
}

/* --- a job */

static enum outcome press(struct engine_job *job, const char *input, const char *output)
{
    struct listener listener = {.job = job, .why = OUTCOME_OK};
    struct words words = {0};
    enum outcome outcome;
    int status;

    make_command(&words, job, input, output);
    if (words.n == WORDS_MAX)
        return OUTCOME_INTERNAL;
    outcome = tool_run(job, words.argv, listen, &listener, &status);
    if (outcome != OUTCOME_OK && outcome != OUTCOME_CORRUPT_INPUT)
        return outcome;
    return listener.why != OUTCOME_OK ? listener.why : outcome;
}

/* The PDF that came out is whole; for an archive, it says who it is. */
static enum outcome finish(struct engine_job *job, const char *input, const char *output, bool from_pdf)
{
    const char *part = part_of(job);
    uint64_t pages = 0;
    enum outcome outcome = work_look(output, NULL, &pages);

    if (outcome != OUTCOME_OK)
        return OUTCOME_NO_OUTPUT;
    if (from_pdf && pages != job->pages)
        return OUTCOME_CORRUPT_INPUT;
    job->pages = pages;
    return part ? archival_describe(output, input, *part) : OUTCOME_OK;
}

static enum outcome press_and_finish(struct engine_job *job, const char *input, const char *output)
{
    bool from_pdf = str_eq(job->from->id, "pdf");
    enum outcome outcome = press(job, input, output);

    if (outcome == OUTCOME_OK && str_eq(job->to->id, "pdf"))
        return finish(job, input, output, from_pdf);
    if (str_eq(job->to->id, "eps"))
        job->pages = 1;
    return outcome;
}

/* The document opened, and with all fields of its forms drawn as they are filled in: viewers do that, but
 * Ghostscript doesn't. */
static enum outcome make_plain(struct engine_job *job, const char *plain)
{
    _cleanup_json_ json_t *work = work_new(job->input_path, engine_password(job));

    work_set(work, "decrypt", "");
    work_set(work, "generateAppearances", "");
    work_set(work, "outputFile", plain);
    return work_run(work, NULL);
}

static enum outcome press_pdf(struct engine_job *job, const char *output)
{
    _cleanup_free_ char *plain = NULL;
    enum outcome outcome = work_look(job->input_path, engine_password(job), &job->pages);

    if (outcome != OUTCOME_OK)
        return outcome;
    engine_pages(job, job->pages);
    if (asprintf(&plain, "%s/plain.pdf", job->output_path) < 0)
        return OUTCOME_INTERNAL;
    outcome = make_plain(job, plain);
    if (outcome == OUTCOME_OK && part_of(job))
        outcome = archival_prepare(plain);
    if (outcome == OUTCOME_OK)
        outcome = press_and_finish(job, plain, output);
    unlink(plain);
    return outcome;
}

static enum outcome convert(struct engine_job *job)
{
    _cleanup_free_ char *output = NULL;

    engine_name_result(job, job->to->id);
    if (asprintf(&output, "%s/%s", job->output_path, job->output_name) < 0)
        return OUTCOME_INTERNAL;
    return str_eq(job->from->id, "pdf") ? press_pdf(job, output)
                                        : press_and_finish(job, job->input_path, output);
}

/* --- in the zygote */

static void version(char *ret, size_t size)
{
    const char *const argv[] = {GHOSTSCRIPT, "--version", NULL};

    tool_version(argv, "", "Ghostscript", ret, size);
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    work_be_quiet();
    return tool_warm(programs, "Ghostscript is missing (package ghostscript)", serve, arg, ret_why);
}

const struct engine engine_press = {
    .name = "press",
    .family = "pdf",
    .policy = policy_keeper,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 1,
    .read_paths = read_paths,
    .conversions = conversions,
    .options = options,
    .protectable = "pdf",
    .version = version,
    .warm = warm,
    .convert = convert,
};
