/* What `decant convert` shows: a progress line on a terminal, a line or a JSON object per finished file. */
#pragma once

#include "cli/convert_plan.h"
#include "engine/fonts.h"

#include <stdbool.h>
#include <stdint.h>

struct convert_result {
    char *output;    /* where it really went; NULL without a result */
    int exit_status; /* 0: converted */
    const char *error_code;
    char error_message[256];
    uint64_t ms, pages, cpu_ms, peak_kib, pss_kib;
    struct font_list fonts;
};

struct convert_view {
    bool json, bar; /* bar: standard error is a terminal */
    size_t n_items, n_over;
    uint64_t percents;   /* sum over all items */
    const char *current; /* the input that moved last */
};

void convert_view_init(struct convert_view *v, const struct convert_plan *plan);
/* `item` has come `more` percent further. */
void convert_view_progress(struct convert_view *v, const struct convert_item *item, unsigned more);
void convert_view_result(struct convert_view *v, const struct convert_item *item,
                         const struct convert_result *result);
void convert_view_end(struct convert_view *v);
