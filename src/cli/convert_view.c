#include "cli/convert_view.h"

#include "cli/bar.h"
#include "cli/convert_standard.h"
#include "core/str.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

void convert_view_init(struct convert_view *v, const struct convert_plan *plan)
{
    bool standard = convert_is_standard(plan->items[0].output);
    bool shared = standard && isatty(STDOUT_FILENO); /* a line that is drawn again would be in what is read */

    *v = (struct convert_view){.json = plan->json,
                               .quiet = plan->quiet,
                               .text = standard ? stderr : stdout,
                               .bar = !plan->json && !plan->quiet && !shared && bar_possible(),
                               .n_items = plan->n_items};
}

static void draw(const struct convert_view *v)
{
    char head[64];

    if (!v->bar)
        return;
    snprintf(head, sizeof head, "%zu/%zu  ", v->n_over, v->n_items);
    bar_draw((unsigned)(v->percents / v->n_items), head, v->stage, v->current ? v->current : "");
}

static void clear(const struct convert_view *v)
{
    if (v->bar)
        bar_clear();
}

void convert_view_progress(struct convert_view *v, const struct convert_item *item, unsigned more)
{
    v->percents += more;
    v->current = item->input;
    draw(v);
}

static void print_json(const struct convert_view *v, const struct convert_item *item,
                       const struct convert_result *r)
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

    if (r->job_id)
        json_object_set_new(object, "job_id", json_string(r->job_id));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
}

static void print_text(const struct convert_view *v, const struct convert_item *item,
                       const struct convert_result *r)
{
    char input[BAR_TEXT_MAX], output[BAR_TEXT_MAX];

    bar_text(item->input, BAR_TEXT_MAX, input);
    if (r->exit_status != 0) {
        fprintf(stderr, "decant convert: %s: %s (%s)\n", input, r->error_message, r->error_code);
        return;
    }
    if (v->quiet)
        return;
    bar_text(r->output, BAR_TEXT_MAX, output);
    fprintf(v->text, "%s -> %s (%llu ms)\n", input, output, (unsigned long long)r->ms);
    for (size_t i = 0; i < r->fonts.n; i++) {
        const struct font_pair *pair = &r->fonts.list[i];

        fprintf(v->text, "    %s → %s%s\n", pair->font, pair->used,
                fonts_metric_compatible(pair->font, pair->used) ? "" : " (other widths)");
    }
}

void convert_view_result(struct convert_view *v, const struct convert_item *item,
                         const struct convert_result *result)
{
    v->n_over++;
    clear(v);
    (v->json ? print_json : print_text)(v, item, result);
    fflush(stdout);
    if (v->n_over < v->n_items)
        draw(v);
}

void convert_view_end(struct convert_view *v)
{
    clear(v);
}
