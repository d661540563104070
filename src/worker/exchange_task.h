/* The task decant.convert_file: {"source": "exchange/…", "target_format": "pdf", "options": {…}}, for
 * programs that have files of their own converted (files/exchange.h). What is special about it is its
 * beginning and what it tells; the runner does the rest as for a job. */
#pragma once

#include "files/exchange.h"
#include "worker/conversion.h"

struct exchange_task {
    struct exchange_file file;
    const struct catalogue_route *route;
    char *options;
    const char *code; /* why it is refused; NULL: it may run */
    char sentence[200];
};

/* Looks at what the task asks for and copies the source. On another thread than the loop's. Whatever it says,
 * exchange_task_drop() has to follow. */
void exchange_task_prepare(struct exchange_task *t, struct storage *storage, struct conversion_shared *shared,
                           const char *task_id, const json_t *kwargs);
void exchange_task_drop(struct exchange_task *t, struct storage *storage);
