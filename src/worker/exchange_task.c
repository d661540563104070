#include "worker/exchange_task.h"

#include "core/str.h"
#include "engine/secrets.h"

#include <errno.h>

static void refuse(struct exchange_task *t, const char *code, const char *sentence)
{
    t->code = code;
    snprintf(t->sentence, sizeof t->sentence, "%s", sentence);
}

static void refuse_file(struct exchange_task *t, int err)
{
    static const struct {
        int err;
        const char *code, *sentence;
    } refusals[] = {
        {-EINVAL, "bad_arguments",
         "The source has to be a path of the form exchange/…, without hidden or empty parts."},
        {-ENOENT, "not_found", "There is no such file."},
        {-ENOTDIR, "not_found", "There is no such file."},
        {-ELOOP, "not_found", "The source leads over a symbolic link."},
        {-EMLINK, "not_found", "The source is no regular file, or has more names than one."},
        {-EACCES, "not_found", "The worker may not read the source."},
        {-EFBIG, "payload_too_large", "The file is larger than this server takes."},
    };

    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        if (refusals[i].err == err) {
            refuse(t, refusals[i].code, refusals[i].sentence);
            return;
        }
    refuse(t, "internal", strerror(-err)); // NOLINT(concurrency-mt-unsafe): glibc's is
}

/* What can be said without the file. */
static void check_arguments(struct exchange_task *t, const json_t *kwargs)
{
    const char *source = json_string_value(json_object_get(kwargs, "source")),
               *target = json_string_value(json_object_get(kwargs, "target_format"));
    const json_t *options = json_object_get(kwargs, "options");

    if (!source || !target)
        refuse(t, "bad_arguments", "The keyword arguments source and target_format are needed.");
    else
        t->route = catalogue_find(format_by_name(source), format_by_id(target));
    if (t->code)
        return;
    if (!t->route)
        refuse(t, "unsupported_target", "A file with this extension can't be converted into that format.");
    else if (secrets_among(options))
        refuse(t, "bad_arguments", "A password would lie open in the queue: this task takes none.");
    else if (catalogue_check_options(t->route, json_is_null(options) ? NULL : options, t->sentence,
                                     sizeof t->sentence) < 0)
        t->code = "bad_arguments";
}

void exchange_task_prepare(struct exchange_task *t, struct storage *storage, struct conversion_shared *shared,
                           const char *task_id, const json_t *kwargs)
{
    const json_t *options = json_object_get(kwargs, "options");
    int r;

    t->file = (struct exchange_file){.job_fd = -1, .input_fd = -1, .folder = -1};
    check_arguments(t, kwargs);
    if (t->code)
        return;
    r = exchange_take(storage, json_string_value(json_object_get(kwargs, "source")), task_id,
                      t->route->from->id, shared->settings->max_upload_bytes, &t->file);
    if (r < 0) {
        refuse_file(t, r);
        return;
    }
    r = conversion_sniff(shared, t->file.input_fd, t->route->from);
    if (r < 0) {
        refuse(t, sniff_refusal(r) ? "type_mismatch" : "internal",
               sniff_refusal(r) ? sniff_refusal(r) : "The file's type could not be looked at.");
        return;
    }
    t->options = json_is_object(options) ? json_dumps(options, JSON_COMPACT) : strdup("{}");
    if (!t->options)
        refuse(t, "internal", "Out of memory.");
    t->route = catalogue_route_with(t->route, options);
}

void exchange_task_drop(struct exchange_task *t, struct storage *storage)
{
    exchange_drop(storage, &t->file);
    free(t->options);
    t->options = NULL;
}
