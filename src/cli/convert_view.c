#include "cli/convert_view.h"

#include "core/str.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { BAR_WIDTH = 24, NAME_SHOWN_MAX = 256, COLUMNS_FALLBACK = 80 };

void convert_view_init(struct convert_view *v, const struct convert_plan *plan)
{
    *v = (struct convert_view){
        .json = plan->json, .bar = !plan->json && isatty(STDERR_FILENO), .n_items = plan->n_items};
}

/* A name as a terminal may see it: at most `room` characters, and none that it would obey. */
static void show_name(const char *name, size_t room, char ret[NAME_SHOWN_MAX])
{
    size_t n = 0, shown = 0;

    for (; *name && shown < room && n + 5 < NAME_SHOWN_MAX; name++) {
        unsigned char c = (unsigned char)*name;

        ret[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
        shown += (name[1] & 0xc0) != 0x80; /* counts a character at its last byte */
    }
    ret[n] = '\0';
}

static size_t columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_FALLBACK;
}

static void clear(const struct convert_view *v)
{
    if (v->bar)
        fputs("\r\033[K", stderr);
}

static void draw(const struct convert_view *v)
{
    char bar[BAR_WIDTH + 1], head[64], name[NAME_SHOWN_MAX];
    unsigned percent = (unsigned)(v->percents / v->n_items);
    size_t filled = percent * BAR_WIDTH / 100, width = columns(), used;

    if (!v->bar)
        return;
    for (size_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR_WIDTH] = '\0';
    used = (size_t)snprintf(head, sizeof head, "[%s] %3u%%  %zu/%zu  ", bar, percent, v->n_over, v->n_items);
    if (used >= width) { /* a narrow terminal: the number alone */
        fprintf(stderr, "\r%3u%%\033[K", percent);
        return;
    }
    show_name(v->current ? v->current : "", width - used - 1, name);
    fprintf(stderr, "\r%s%s\033[K", head, name);
}

void convert_view_progress(struct convert_view *v, const struct convert_item *item, unsigned more)
{
    v->percents += more;
    v->current = item->input;
    draw(v);
}

static void print_json(const struct convert_item *item, const struct convert_result *r)
{
    bool ok = r->exit_status == 0;
    /* File names may be any bytes, JSON may not: what is no UTF-8 is shown as null. */
    _cleanup_json_ json_t *object = json_pack(
        "{s:o, s:o, s:s, s:s?, s:s?, s:I, s:I, s:I, s:I, s:o, s:o}", "input",
        utf8_valid(item->input, strlen(item->input)) ? json_string(item->input) : json_null(), "output",
        ok && utf8_valid(r->output, strlen(r->output)) ? json_string(r->output) : json_null(), "status",
        ok ? "completed" : "failed", "error_code", ok ? NULL : r->error_code, "error_message",
        ok ? NULL : r->error_message, "ms", (json_int_t)r->ms, "pages", (json_int_t)r->pages, "cpu_ms",
        (json_int_t)r->cpu_ms, "peak_kib", (json_int_t)r->peak_kib, "pss_kib",
        r->pss_kib ? json_integer((json_int_t)r->pss_kib) : json_null(), "fonts_substituted",
        fonts_json(&r->fonts));

    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
}

static void print_text(const struct convert_item *item, const struct convert_result *r)
{
    char input[NAME_SHOWN_MAX], output[NAME_SHOWN_MAX];

    show_name(item->input, NAME_SHOWN_MAX, input);
    if (r->exit_status != 0) {
        fprintf(stderr, "decant convert: %s: %s (%s)\n", input, r->error_message, r->error_code);
        return;
    }
    show_name(r->output, NAME_SHOWN_MAX, output);
    printf("%s -> %s (%llu ms)\n", input, output, (unsigned long long)r->ms);
    for (size_t i = 0; i < r->fonts.n; i++) {
        const struct font_pair *pair = &r->fonts.list[i];

        printf("    %s → %s%s\n", pair->font, pair->used,
               fonts_metric_compatible(pair->font, pair->used) ? "" : " (other widths)");
    }
}

void convert_view_result(struct convert_view *v, const struct convert_item *item,
                         const struct convert_result *result)
{
    v->n_over++;
    clear(v);
    (v->json ? print_json : print_text)(item, result);
    fflush(stdout);
    if (v->n_over < v->n_items)
        draw(v);
}

void convert_view_end(struct convert_view *v)
{
    clear(v);
}
