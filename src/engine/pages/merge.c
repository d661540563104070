#include "engine/pages/merge.h"

#include "core/cleanup.h"
#include "engine/pages/work.h"

#include <fnmatch.h>
#include <stdio.h>

static int is_part(const struct dirent *entry)
{
    return fnmatch("[0-9]*.pdf", entry->d_name, 0) == 0;
}

/* Adds a file to those that are joined, when it can be opened. */
static enum outcome add(json_t *pages, struct engine_job *job, const char *name)
{
    const char *password = engine_password(job);
    _cleanup_free_ char *path = NULL;
    enum outcome outcome;
    uint64_t n = 0;

    if (asprintf(&path, "%s/%s", job->input_path, name) < 0)
        return OUTCOME_INTERNAL;
    outcome = work_look(path, password, &n);
    if (outcome != OUTCOME_OK)
        return outcome;
    job->pages += n;
    json_array_append_new(pages, json_pack("{s:s, s:s*}", "file", path, "password", password));
    return OUTCOME_OK;
}

static enum outcome add_all(json_t *pages, struct engine_job *job)
{
    struct dirent **names = NULL;
    int n = scandir(job->input_path, &names, is_part, alphasort);
    enum outcome outcome = n > 0 ? OUTCOME_OK : OUTCOME_INTERNAL;

    for (int i = 0; i < n; i++) {
        if (outcome == OUTCOME_OK)
            outcome = add(pages, job, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return outcome;
}

enum outcome merge_write(struct engine_job *job)
{
    _cleanup_json_ json_t *pages = json_array(), *work = NULL;
    enum outcome outcome = add_all(pages, job);

    if (outcome != OUTCOME_OK)
        return outcome;
    engine_pages(job, job->pages);
    engine_name_result(job, "pdf");
    work =
        work_new(json_string_value(json_object_get(json_array_get(pages, 0), "file")), engine_password(job));
    json_object_set_new(work, "outputFile", json_sprintf("%s/%s", job->output_path, job->output_name));
    work_set(work, "decrypt", "");
    json_object_set(work, "pages", pages);
    return work_run(work, job);
}
