/* `decant formats [--json]`: the catalogue, as a table by category or as the body of GET /formats. */
#include "cli/commands.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <ctype.h>

enum { LABEL_WIDTH = 34 };

/* printf counts bytes, a terminal characters. */
static int padding(const char *s, size_t width)
{
    size_t characters = 0;

    for (; *s; s++)
        characters += ((unsigned char)*s & 0xc0) != 0x80;
    return characters < width ? (int)(width - characters) : 0;
}

static void print_targets(const struct format *f)
{
    _cleanup_json_ json_t *targets = catalogue_targets(f);
    size_t i;
    json_t *target;

    printf("  %-6s %s%*s →", f->id, f->label, padding(f->label, LABEL_WIDTH), "");
    json_array_foreach(targets, i, target) printf(" %s", json_string_value(target));
    printf("\n");
}

static void print_category(enum format_category category)
{
    bool any = false;

    for (size_t i = 0; i < n_formats; i++) {
        if (formats[i].category != category || !catalogue_accepts(&formats[i]))
            continue;
        if (!any) {
            const char *name = format_category_name(category);

            printf("%c%s\n", toupper((unsigned char)*name), name + 1);
        }
        any = true;
        print_targets(&formats[i]);
    }
    if (any)
        printf("\n");
}

int cmd_formats(int argc, char **argv)
{
    catalogue_leave_out_missing();
    if (argc == 2 && str_eq(argv[1], "--json")) {
        _cleanup_json_ json_t *catalogue = catalogue_json();

        return json_dumpf(catalogue, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n' ? EXIT_SUCCESS
                                                                                           : EXIT_FAILURE;
    }
    if (argc > 1) {
        fprintf(str_eq(argv[1], "--help") ? stdout : stderr, "usage: decant formats [--json]\n");
        return str_eq(argv[1], "--help") ? EXIT_SUCCESS : 2;
    }
    for (int c = FORMAT_DOCUMENT; c <= FORMAT_ARCHIVE; c++)
        print_category((enum format_category)c);
    return EXIT_SUCCESS;
}
