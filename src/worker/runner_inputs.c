/* The files of other jobs of the session that become one with the job's own. */
#include "worker/runner_parts.h"

#include "core/str.h"

#include <errno.h>

/* "{session}/{job}/uploads/…" of this very session, from its second component on. */
static const char *below_session(const struct runner *r, const char *path)
{
    size_t len = strlen(r->session_id);

    return path && storage_path_valid(path) && strncmp(path, r->session_id, len) == 0 && path[len] == '/'
               ? path + len + 1
               : NULL;
}

static int read_input(const struct runner *r, const json_t *entry, struct runner_input *ret)
{
    const char *path = json_string_value(json_object_get(entry, "path")), *below = below_session(r, path);
    const char *name = json_string_value(json_object_get(entry, "name"));
    const struct format *format = format_by_id(json_string_value(json_object_get(entry, "format")) ?: "");

    if (!below || !name || !format)
        return -EINVAL;
    ret->path = strdup(path);
    ret->name = strdup(name);
    if (!ret->path || !ret->name)
        return -ENOMEM;
    snprintf(ret->job_id, sizeof ret->job_id, "%.*s", (int)ID_UUID_LEN, below);
    ret->input = (struct conversion_input){.dir_fd = -1,
                                           .path = ret->path + (below - path) + ID_UUID_LEN + 1,
                                           .name = ret->name,
                                           .format = format};
    return 0;
}

int runner_inputs_read(struct runner *r, const char *text)
{
    _cleanup_json_ json_t *entries = *text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *entry;
    size_t i;
    int e;

    if (!*text)
        return 0;
    if (!json_is_array(entries) || json_array_size(entries) == 0)
        return -EINVAL;
    r->inputs = calloc(json_array_size(entries), sizeof *r->inputs);
    if (!r->inputs)
        return -ENOMEM;
    json_array_foreach(entries, i, entry)
    {
        r->n_inputs++;
        e = read_input(r, entry, &r->inputs[i]);
        if (e < 0)
            return e;
    }
    return 0;
}

void runner_inputs_open(struct runner *r)
{
    for (size_t i = 0; i < r->n_inputs; i++) {
        int *fd = &r->inputs[i].input.dir_fd;

        cleanup_close(fd);
        *fd = storage_open_job(r->context->storage, r->session_id, r->inputs[i].job_id);
    }
}

void runner_inputs_free(struct runner *r)
{
    for (size_t i = 0; i < r->n_inputs; i++) {
        cleanup_close(&r->inputs[i].input.dir_fd);
        free(r->inputs[i].path);
        free(r->inputs[i].name);
    }
    free(r->inputs);
}
