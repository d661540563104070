/* `decant formats`: the catalogue, as a table by category, as the body of GET /formats, or as the page
 * docs/formats.md. */
#include "cli/commands.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <ctype.h>
#include <stdio.h>

enum { LABEL_WIDTH = 34 };

#define USAGE                                                                                                \
    "usage: decant formats [--json | --markdown]\n\n"                                                        \
    "Lists the formats, and what the engines of this machine convert each of them into.\n\n"                 \
    "      --json             as a server's GET /formats, with the options of each conversion\n"             \
    "      --markdown         as docs/formats.md"

/* printf counts bytes, a terminal characters. */
static int padding(const char *s, size_t width)
{
    size_t characters = 0;

    for (; *s; s++)
        characters += ((unsigned char)*s & 0xc0) != 0x80;
    return characters < width ? (int)(width - characters) : 0;
}

static void print_words(const json_t *words, const char *before)
{
    const json_t *word;
    size_t i;

    json_array_foreach(words, i, word) printf("%s%s", i > 0 ? " " : before, json_string_value(word));
}

static void print_targets(const struct format *f)
{
    _cleanup_json_ json_t *targets = catalogue_targets(f);

    printf("  %-8s %s%*s →", f->id, f->label, padding(f->label, LABEL_WIDTH), "");
    print_words(targets, " ");
    printf("\n");
}

static void print_title(const char *before, enum format_category category)
{
    const char *name = format_category_name(category);

    printf("%s%c%s\n", before, toupper((unsigned char)*name), name + 1);
}

static void print_category(enum format_category category)
{
    bool any = false;

    for (size_t i = 0; i < n_formats; i++) {
        if (formats[i].category != category || !catalogue_accepts(&formats[i]))
            continue;
        if (!any)
            print_title("", category);
        any = true;
        print_targets(&formats[i]);
    }
    if (any)
        printf("\n");
}

static void print_table(void)
{
    for (int c = 0; c < FORMAT_CATEGORIES_; c++)
        print_category((enum format_category)c);
}

/* --- docs/formats.md: formats with the same targets share a row */

static void print_row(const struct format *f, bool done[])
{
    _cleanup_json_ json_t *targets = catalogue_targets(f);
    bool first = true;

    printf("| ");
    for (size_t i = (size_t)(f - formats); i < n_formats; i++) {
        const struct format *other = &formats[i];
        _cleanup_json_ json_t *theirs = catalogue_targets(other);

        if (other->category != f->category || !json_equal(targets, theirs))
            continue;
        printf("%s`%s` %s", first ? "" : "<br>", other->id, other->label);
        first = false;
        done[i] = true;
    }
    printf(" | ");
    print_words(targets, "");
    printf(" |\n");
}

static void print_category_page(enum format_category category, bool done[])
{
    bool any = false;

    for (size_t i = 0; i < n_formats; i++) {
        if (formats[i].category != category || done[i] || !catalogue_accepts(&formats[i]))
            continue;
        if (!any) {
            print_title("\n## ", category);
            printf("\n| from | into |\n|---|---|\n");
        }
        any = true;
        print_row(&formats[i], done);
    }
}

static void print_values(const json_t *option)
{
    const json_t *choices = json_object_get(option, "choices"), *max = json_object_get(option, "max");

    if (choices)
        print_words(choices, "");
    else if (max)
        printf("%lld–%lld", (long long)json_integer_value(json_object_get(option, "min")),
               (long long)json_integer_value(max));
}

static void print_options_page(const json_t *catalogue)
{
    const char *id;
    json_t *option;

    printf("\n## Options\n\nWhich of them a pair has is told by `GET /formats`.\n\n"
           "| option | type | values | default | what for |\n|---|---|---|---|---|\n");
    json_object_foreach(json_object_get(catalogue, "options"), id, option)
    {
        const json_t *fallback = json_object_get(option, "default");
        _cleanup_free_ char *text = fallback ? json_dumps(fallback, JSON_ENCODE_ANY) : NULL;

        printf("| `%s` (%s) | %s | ", json_string_value(json_object_get(option, "name")), id,
               json_string_value(json_object_get(option, "type")));
        print_values(option);
        printf(" | %s | %s |\n", text && !json_is_null(fallback) ? text : "",
               json_string_value(json_object_get(option, "label")));
    }
}

static int print_page(void)
{
    _cleanup_free_ bool *done = calloc(n_formats, sizeof *done);
    _cleanup_json_ json_t *catalogue = catalogue_json();
    size_t sources = 0, pairs = 0;

    if (!done || !catalogue)
        return EXIT_FAILURE;
    for (size_t i = 0; i < n_formats; i++) {
        _cleanup_json_ json_t *targets = catalogue_targets(&formats[i]);

        sources += json_array_size(targets) > 0;
        pairs += json_array_size(targets);
    }
    printf("# Formats\n\nWritten by `decant formats --markdown`, with all engines there: %zu formats to "
           "convert from, "
           "%zu pairs. Each pair is tried by\n`tests/catalogue/run.py` (`make check-catalogue`), which has "
           "other tools judge the results.\n",
           sources, pairs);
    for (int c = 0; c < FORMAT_CATEGORIES_; c++)
        print_category_page((enum format_category)c, done);
    print_options_page(catalogue);
    return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print_json(void)
{
    _cleanup_json_ json_t *catalogue = catalogue_json();

    return json_dumpf(catalogue, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n' ? EXIT_SUCCESS
                                                                                       : EXIT_FAILURE;
}

int cmd_formats(int argc, char **argv)
{
    catalogue_leave_out_missing();
    if (argc == 2 && str_eq(argv[1], "--json"))
        return print_json();
    if (argc == 2 && str_eq(argv[1], "--markdown"))
        return print_page();
    if (argc > 1) {
        fprintf(str_eq(argv[1], "--help") ? stdout : stderr, "%s\n", USAGE);
        return str_eq(argv[1], "--help") ? EXIT_SUCCESS : 2;
    }
    print_table();
    return EXIT_SUCCESS;
}
