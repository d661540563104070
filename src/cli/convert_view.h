/* What `decant convert` shows: a progress line on a terminal, a line or a JSON object per finished file. */
#pragma once

#include "cli/convert_plan.h"
#include "cli/convert_result.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct convert_view {
    bool json, quiet, bar; /* bar: standard error is a terminal, and it is wanted there */
    FILE *text; /* for what was converted: standard error where the result itself is on standard output */
    size_t n_items, n_over;
    uint64_t percents;   /* sum over all items */
    const char *current; /* the input that moved last */
    const char *stage;   /* what is done with it ("sending"); NULL: the obvious */
};

void convert_view_init(struct convert_view *v, const struct convert_plan *plan);
/* `item` has come `more` percent further. */
void convert_view_progress(struct convert_view *v, const struct convert_item *item, unsigned more);
void convert_view_result(struct convert_view *v, const struct convert_item *item,
                         const struct convert_result *result);
void convert_view_end(struct convert_view *v);
