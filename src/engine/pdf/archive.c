#include "engine/pdf/archive.h"

#include "engine/pdf/pages.h"

#include <stdio.h>

struct archive {
    struct zip_writer *zip;
    const struct target *target;
    int pages;
};

static enum outcome put_entry(void *sink, struct sheet *s)
{
    struct archive *a = sink;
    char name[32];

    snprintf(name, sizeof name, "page-%0*d.%s", a->pages > 999 ? 4 : 3, s->page + 1, a->target->id);
    return outcome_of_error(zip_writer_add(a->zip, name, &s->content));
}

enum outcome archive_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                           int pages, const struct page_settings *settings, const char *path)
{
    struct archive a = {.target = target, .pages = pages};
    const struct pages work = {.job = job,
                               .target = target,
                               .settings = settings,
                               .document = document,
                               .n = pages,
                               .put = put_entry,
                               .sink = &a,
                               .archive = true};
    enum outcome outcome = outcome_of_error(zip_writer_new(path, &a.zip));

    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = pages_write(&work);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of_error(zip_writer_finish(a.zip));
    zip_writer_free(a.zip);
    return outcome;
}
