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

#include <stdio.h>
#include <string.h>

#define PANDOC "/usr/bin/pandoc"

#define SOURCES                                                                                              \
    "md rst org textile wiki dokuwiki creole jira t2t twiki tikiwiki vimwiki muse haddock tex docbook "      \
    "jats opml fb2 ipynb man html docx odt epub"
#define MARKUP                                                                                               \
    "md rst org textile wiki dokuwiki jira muse haddock tex docbook jats opml fb2 ipynb man asciidoc "       \
    "texinfo context tei ms xwiki zimwiki"

enum { COST = 25, EXIT_HEAP = 251 /* of GHC's runtime */ };

/* LibreOffice knows the look of a document better, where it reads it too; docx keeps most of what a text says
 * on its way to PDF. */
static const struct engine_conversions conversions[] = {
    {SOURCES, MARKUP, COST, 80, false, NULL}, {SOURCES, "html epub", COST, 85, false, NULL},
    {SOURCES, "docx", COST, 84, false, NULL}, {SOURCES, "odt txt", COST, 78, false, NULL},
    {SOURCES, "rtf", COST, 70, false, NULL},  {0},
};

static const struct engine_option options[] = {{0}};

static const char *const programs[] = {PANDOC, NULL};

/* Where Pandoc's name isn't ours. */
static const struct name {
    const char *id, *reader, *writer;
} names[] = {
    {"md", "markdown", "markdown"},
    {"wiki", "mediawiki", "mediawiki"},
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

    return name ? name->writer : words_have(MARKUP " html epub docx odt", id) ? id : NULL;
}

static void listen(void *arg, const char *line)
{
    bool *full = arg;

    *full = *full || strstr(line, "No space left on device");
}

static enum outcome convert(struct engine_job *job)
{
    const char *reader = markup_reader(job->from->id), *writer = markup_writer(job->to->id);
    char path[512];
    /* A title, as HTML can't do without, for texts that have none. */
    const char *const argv[] = {PANDOC,
                                "--standalone",
                                "--metadata=pagetitle:Document",
                                "-f",
                                reader,
                                "-t",
                                writer,
                                "-o",
                                path,
                                job->input_path,
                                NULL};
    bool full = false;
    enum outcome outcome;
    int status;

    engine_name_result(job, job->to->id);
    if (!reader || !writer ||
        snprintf(path, sizeof path, "%s/%s", job->output_path, job->output_name) >= (int)sizeof path)
        return OUTCOME_INTERNAL;
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
