/* One table says what is in the object.
 *
 * It is the answer that clients ask for most, so it is written straight into a buffer: as a tree of jansson's
 * it took a third of the time of such a request. */
#include "state/job_json.h"

#include "core/str.h"
#include "format/filename.h"

#include <stddef.h>

enum kind {
    TEXT,
    TEXT_OR_NULL,
    JSON_OR_NULL,
    NUMBER,
    NUMBER_OR_NULL,
    KIB_OR_NULL,
    MAYBE_OR_NULL,
    PERCENT,
    FLAG,
    STATUS,
    OUTPUT
};

struct member {
    const char *name;
    size_t offset;
    enum kind kind;
};

#define MEMBER(member, as)                                                                                   \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct job, member), .kind = as                                  \
    }

/* `output` is made of several. */
static const struct member members[] = {
    MEMBER(job_id, TEXT),
    MEMBER(task_id, TEXT_OR_NULL),
    MEMBER(original_filename, TEXT),
    MEMBER(source_format, TEXT),
    MEMBER(mime_type, TEXT),
    MEMBER(size, NUMBER),
    MEMBER(sha256, TEXT),
    MEMBER(target_format, TEXT_OR_NULL),
    MEMBER(status, STATUS),
    MEMBER(progress, PERCENT),
    MEMBER(created_at, TEXT),
    MEMBER(started_at, TEXT_OR_NULL),
    MEMBER(completed_at, TEXT_OR_NULL),
    MEMBER(error_code, TEXT_OR_NULL),
    MEMBER(error_message, TEXT_OR_NULL),
    {.name = "output", .kind = OUTPUT},
    MEMBER(engine, TEXT_OR_NULL),
    MEMBER(engine_version, TEXT_OR_NULL),
    MEMBER(sandbox, TEXT_OR_NULL),
    MEMBER(attempts, NUMBER),
    MEMBER(queue_ms, MAYBE_OR_NULL),
    MEMBER(duration_ms, MAYBE_OR_NULL),
    MEMBER(cpu_ms, NUMBER),
    MEMBER(peak_kib, NUMBER),
    {.name = "peak_rss_bytes", .offset = offsetof(struct job, peak_kib), .kind = KIB_OR_NULL},
    MEMBER(pss_kib, NUMBER_OR_NULL),
    MEMBER(fonts_substituted, JSON_OR_NULL),
    MEMBER(cached, FLAG),
};

/* Many pages come as a ZIP, whatever their format. */
const char *job_output_extension(const struct job *job)
{
    const char *dot = strrchr(job->converted_path, '.');

    return dot ? dot + 1 : job->target_format;
}

static void write_output(struct buf *out, const struct job *job)
{
    char name[FILENAME_MAX_BYTES + 1];

    if (job->status != JOB_COMPLETED) {
        buf_append_str(out, "null");
        return;
    }
    filename_replace_extension(job->original_filename, job_output_extension(job), name);
    buf_append_str(out, "{\"filename\":");
    buf_append_json(out, name);
    buf_append_str(out, ",\"mime_type\":");
    buf_append_json(out, job->output_mime_type);
    buf_append_str(out, ",\"size\":");
    buf_append_u64(out, job->output_size);
    if (job->output_pages > 0) {
        buf_append_str(out, ",\"pages\":");
        buf_append_u64(out, job->output_pages);
    }
    buf_append_str(out, "}");
}

/* What isn't known is null: a number as `unknown`. */
static void write_number(struct buf *out, uint64_t number, uint64_t unknown, uint64_t unit)
{
    if (number == unknown)
        buf_append_str(out, "null");
    else
        buf_append_u64(out, number * unit);
}

static void write_value(struct buf *out, const struct job *job, const struct member *m)
{
    const void *at = (const char *)job + m->offset;
    const char *text = m->kind <= JSON_OR_NULL ? *(const char *const *)at : NULL;

    switch (m->kind) {
    case TEXT_OR_NULL:
        if (!*text) {
            buf_append_str(out, "null");
            break;
        }
        /* fallthrough */
    case TEXT:
        buf_append_json(out, text);
        break;
    case JSON_OR_NULL:
        buf_append_str(out, *text ? text : "null");
        break;
    case NUMBER_OR_NULL:
        write_number(out, *(const uint64_t *)at, 0, 1);
        break;
    case KIB_OR_NULL:
        write_number(out, *(const uint64_t *)at, 0, 1024);
        break;
    case MAYBE_OR_NULL:
        write_number(out, *(const uint64_t *)at, JOB_UNKNOWN, 1);
        break;
    case NUMBER:
        buf_append_u64(out, *(const uint64_t *)at);
        break;
    case PERCENT:
        buf_append_u64(out, *(const unsigned *)at);
        break;
    case FLAG:
        buf_append_str(out, *(const bool *)at ? "true" : "false");
        break;
    case STATUS:
        buf_append_json(out, job_status_name(job->status));
        break;
    case OUTPUT:
        write_output(out, job);
        break;
    }
}

void job_json_write(struct buf *out, const struct job *job)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        buf_append_str(out, i == 0 ? "{\"" : ",\"");
        buf_append_str(out, members[i].name);
        buf_append_str(out, "\":");
        write_value(out, job, &members[i]);
    }
    buf_append_str(out, "}");
}
