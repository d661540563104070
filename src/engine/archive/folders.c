/* Archives that are taken apart into a folder of files, and made of one (engine/folder.h). */
#include "engine/archive/archive.h"

#include "core/path.h"
#include "engine/archive/entries.h"
#include "engine/archive/pack.h"
#include "engine/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BLOCK = 64 << 10 };

static enum outcome of_errno(int r)
{
    return r == -EFBIG || r == -ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
}

/* --- apart */

static enum outcome unpack_file(struct engine_job *job, struct entries *from, int folder, const char *file)
{
    static char data[BLOCK];
    _cleanup_close_ int fd = folder_open_file(folder, file, O_WRONLY | O_CREAT | O_TRUNC);
    enum outcome outcome;
    uint64_t size = 0;
    size_t n;
    int r;

    if (fd < 0)
        return of_errno(fd);
    while ((outcome = entries_read(from, data, sizeof data, &n)) == OUTCOME_OK && n > 0) {
        r = path_write(fd, size, data, n);
        if (r < 0)
            return of_errno(r);
        size += n;
        engine_progress(job, entries_progress(from));
    }
    return outcome;
}

static enum outcome unpack_all(struct engine_job *job, struct entries *from, int folder, json_t *files)
{
    char file[FOLDER_FILE_MAX], name[FOLDER_NAME_MAX];
    const struct member *entry = NULL;
    enum outcome outcome;

    while ((outcome = entries_next(from, &entry)) == OUTCOME_OK && entry) {
        if (entry->folder)
            continue;
        if (json_array_size(files) == FOLDER_FILES_MAX)
            return OUTCOME_TOO_COMPLEX;
        folder_file_name(json_array_size(files) + 1, NULL, file);
        folder_make_name(entry->name, name);
        outcome = unpack_file(job, from, folder, file);
        if (outcome != OUTCOME_OK)
            return outcome;
        if (folder_add(files, file, *name ? name : file) < 0)
            return OUTCOME_TOO_COMPLEX;
    }
    return outcome;
}

enum outcome archive_scatter(struct engine_job *job)
{
    const struct entries_source source = {.path = job->input_path,
                                          .format = job->from->id,
                                          .password = engine_password(job),
                                          .bytes_max = archive_bytes_max()};
    _cleanup_close_ int folder = open(job->output_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_json_ json_t *files = json_array();
    struct entries *from = NULL;
    enum outcome outcome = folder < 0 || !files ? OUTCOME_INTERNAL : entries_open(&source, &from);

    snprintf(job->output_name, sizeof job->output_name, FOLDER_INDEX);
    snprintf(job->output_format, sizeof job->output_format, "txt");
    if (outcome == OUTCOME_OK)
        outcome = unpack_all(job, from, folder, files);
    if (outcome == OUTCOME_OK && json_array_size(files) == 0)
        outcome = OUTCOME_NO_OUTPUT;
    if (outcome == OUTCOME_OK)
        outcome = folder_write(folder, files) < 0 ? OUTCOME_INTERNAL : OUTCOME_OK;
    entries_close(from);
    return outcome;
}

/* --- together */

static enum outcome add_file(struct pack *to, int folder, const char *file, const char *name)
{
    static char data[BLOCK];
    _cleanup_close_ int fd = folder_open_file(folder, file, O_RDONLY);
    struct stat st;
    enum outcome outcome;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return OUTCOME_INTERNAL;
    outcome =
        pack_add(to, &(struct member){.name = name, .size = (uint64_t)st.st_size, .mtime = st.st_mtime});
    while (outcome == OUTCOME_OK && (n = read(fd, data, sizeof data)) != 0)
        outcome = n < 0 ? OUTCOME_INTERNAL : pack_write(to, data, (size_t)n);
    return outcome;
}

static enum outcome add_all(struct engine_job *job, struct pack *to, int folder)
{
    _cleanup_json_ json_t *files = NULL;
    const json_t *entry;
    size_t i;

    if (folder_read(folder, &files) < 0)
        return OUTCOME_INTERNAL;
    json_array_foreach(files, i, entry)
    {
        enum outcome outcome = add_file(to, folder, json_string_value(json_object_get(entry, "file")),
                                        json_string_value(json_object_get(entry, "name")));

        if (outcome != OUTCOME_OK)
            return outcome;
        engine_progress(job, (unsigned)(i * 100 / json_array_size(files)));
    }
    return pack_finish(to);
}

enum outcome archive_gather(struct engine_job *job)
{
    _cleanup_close_ int folder = open(job->input_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct pack *to = NULL;
    enum outcome outcome = OUTCOME_INTERNAL;

    if (folder >= 0)
        outcome = archive_open_result(job, &to);
    if (outcome == OUTCOME_OK)
        outcome = add_all(job, to, folder);
    pack_free(to);
    return outcome;
}
