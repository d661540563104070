/* The markup engine: Pandoc, as a program in the sandbox, for texts that say what they mean rather than how
 * they look.
 *
 * Its readers follow includes of reStructuredText, LaTeX and Org, and its writers fetch the pictures that a
 * text names: in the sandbox there is nothing to include and nobody to fetch from, and what can't be had is
 * left out. Pandoc's own --sandbox isn't used: Debian's build of it can't write docx, odt and epub then. */
#include "engine/markup/markup.h"

#include "core/str.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PANDOC "/usr/bin/pandoc"

#define TEXTS                                                                                                \
    "md rst org textile wiki dokuwiki creole jira t2t twiki tikiwiki vimwiki muse haddock tex docbook "      \
    "jats opml fb2 ipynb man odt epub"
#define LISTS   "bib csljson" /* of references */
#define SOURCES TEXTS " html docx " LISTS
#define MARKUP                                                                                               \
    "md rst org textile wiki dokuwiki jira muse haddock tex docbook jats fb2 ipynb man asciidoc texinfo "    \
    "context tei ms xwiki zimwiki icml"

enum { COST = 25, EXIT_HEAP = 251 /* of GHC's runtime */ };

/* LibreOffice knows the look of a document better, where it reads it too; docx keeps most of what a text says
 * on its way to PDF. What LibreOffice alone reads comes by way of docx, and the tables of workbooks by way of
 * HTML. */
static const struct engine_conversions conversions[] = {
    {TEXTS, MARKUP " opml", COST, 80, false, NULL},
    {LISTS, MARKUP, COST, 80, false, NULL},
    {"docx", MARKUP " opml", COST, 80, false, "document"},
    {"html", MARKUP, COST, 80, false, "spreadsheet"},
    {"html", "opml", COST, 80, false, NULL},
    {SOURCES, "html epub", COST, 85, false, NULL},
    {SOURCES, "docx", COST, 84, false, NULL},
    {SOURCES, "odt txt", COST, 78, false, NULL},
    {SOURCES, "rtf", COST, 70, false, NULL},
    {TEXTS " html docx", "pptx", COST, 60, false, NULL},
    {LISTS, LISTS, COST, 95, false, NULL},
    {0},
};

static const struct engine_option options[] = {{0}};

static const char *const programs[] = {PANDOC, NULL};

/* Where Pandoc's name isn't ours. */
static const struct name {
    const char *id, *reader, *writer;
} names[] = {
    {"md", "markdown", "markdown"},
    {"wiki", "mediawiki", "mediawiki"},
    {"bib", "biblatex", "bibtex"}, /* which reads both, and which both read */
    {"tex", "latex", "latex"},
    {"txt", NULL, "plain"},
    {"rtf", NULL, "rtf"},
    {"creole", "creole", NULL},
    {"t2t", "t2t", NULL},
    {"twiki", "twiki", NULL},
    {"tikiwiki", "tikiwiki", NULL},
    {"vimwiki", "vimwiki", NULL},
    {"asciidoc", NULL, "asciidoc"},
    {"texinfo", NULL, "texinfo"},
    {"context", NULL, "context"},
    {"tei", NULL, "tei"},
    {"ms", NULL, "ms"},
    {"xwiki", NULL, "xwiki"},
    {"zimwiki", NULL, "zimwiki"},
};

/* These keep what is cited as data, and show nothing of it, unless they are told that they don't know of
 * citations; Markdown without its fences for every entry. */
static const struct name list_names[] = {
    {.id = "md", .writer = "markdown-citations-fenced_divs-native_divs-raw_html"},
    {.id = "org", .writer = "org-citations"},
};

static const struct name *find_name(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(names[i].id, id))
            return &names[i];
    return NULL;
}

const char *markup_reader(const char *id)
{
    const struct name *name = find_name(id);

    return name ? name->reader : words_have(SOURCES, id) ? id : NULL;
}

const char *markup_writer(const char *id)
{
    const struct name *name = find_name(id);

    return name ? name->writer : words_have(MARKUP " opml html epub docx odt pptx csljson", id) ? id : NULL;
}

static bool is_list(const struct format *format)
{
    return words_have(LISTS, format->id);
}

static const char *writer_of(const struct engine_job *job)
{
    for (size_t i = 0; is_list(job->from) && i < ARRAY_SIZE(list_names); i++)
        if (str_eq(list_names[i].id, job->to->id))
            return list_names[i].writer;
    return markup_writer(job->to->id);
}

static void listen(void *arg, const char *line)
{
    bool *full = arg;

    *full = *full || strstr(line, "No space left on device");
}

/* --- pictures that can't be had
 *
 * Of a picture that a text names by an absolute path two writers make an error of the whole; there is none to
 * be had here in any case. So those texts are read by way of a reader of ours, which is Pandoc's own but that
 * such pictures are replaced by their descriptions. (A filter comes too late, and --extract-media doesn't
 * help.) What a document has within isn't touched: those have no such reader. */

static const char reader_text[] = "function Reader(input)\n"
                                  "  return pandoc.read(tostring(input), '%s'):walk {\n"
                                  "    Image = function(image)\n"
                                  "      if not image.src:match('^data:') then return image.caption end\n"
                                  "    end\n"
                                  "  }\n"
                                  "end\n";

static bool needs_reader(const struct engine_job *job)
{
    return words_have("docx pptx", job->to->id) && !words_have("docx odt epub ipynb fb2", job->from->id);
}

static int write_reader(const char *path, const char *reader)
{
    FILE *file = fopen(path, "we");
    bool failed;

    if (!file)
        return -errno;
    failed = fprintf(file, reader_text, reader) < 0;
    return fclose(file) != 0 || failed ? -EIO : 0;
}

/* --- */

enum { WORDS_MAX = 16, PATH_BYTES = 512 };

static void make_command(const char *argv[WORDS_MAX], const struct engine_job *job, const char *reader,
                         const char *path)
{
    const char *const always[] = {PANDOC,         "--standalone", "-f", reader,         "-t",
                                  writer_of(job), "-o",           path, job->input_path};
    size_t n = 0;

    for (; n < ARRAY_SIZE(always); n++)
        argv[n] = always[n];
    /* HTML can't do without a title, and some texts have none. */
    if (str_eq(job->to->id, "html"))
        argv[n++] = "--metadata=pagetitle:Document";
    /* A list becomes a text by being cited. */
    if (is_list(job->from) && !is_list(job->to))
        argv[n++] = "--citeproc";
    argv[n] = NULL;
}

static bool make_path(char ret[PATH_BYTES], const struct engine_job *job, const char *name)
{
    return snprintf(ret, PATH_BYTES, "%s/%s", job->output_path, name) < PATH_BYTES;
}

static enum outcome convert(struct engine_job *job)
{
    const char *reader = markup_reader(job->from->id), *argv[WORDS_MAX];
    char path[PATH_BYTES], script[PATH_BYTES];
    bool full = false;
    enum outcome outcome;
    int status;

    engine_name_result(job, job->to->id);
    if (!reader || !markup_writer(job->to->id) || !make_path(path, job, job->output_name) ||
        !make_path(script, job, "reader.lua"))
        return OUTCOME_INTERNAL;
    if (needs_reader(job)) {
        if (write_reader(script, reader) < 0)
            return OUTCOME_INTERNAL;
        reader = script;
    }
    make_command(argv, job, reader, path);
    outcome = tool_run(job, argv, listen, &full, &status);
    if (status == EXIT_HEAP)
        return OUTCOME_TOO_COMPLEX;
    return full ? OUTCOME_INTERNAL : outcome;
}

/* --- in the zygote */

static void version(char *ret, size_t size)
{
    const char *const argv[] = {PANDOC, "--version", NULL};

    tool_version(argv, "pandoc ", "Pandoc", ret, size);
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    return tool_warm(programs, "Pandoc is missing (package pandoc)", serve, arg, ret_why);
}

const struct engine engine_markup = {
    .name = "markup",
    .family = "documents",
    .policy = policy_keeper,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 1,
    .conversions = conversions,
    .options = options,
    .version = version,
    .warm = warm,
    .convert = convert,
};
