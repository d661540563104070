/* What an engine's convert() may ask of the frame. */
#include "engine/engine.h"
#include "engine/protocol.h"

#include "core/clock.h"
#include "core/msg.h"
#include "core/str.h"

#include <assert.h>
#include <stdio.h>

enum { PROGRESS_INTERVAL_MS = 100 };

void engine_name_result(struct engine_job *job, const char *format)
{
    snprintf(job->output_name, sizeof job->output_name, "result.%s", format);
    snprintf(job->output_format, sizeof job->output_format, "%s", format);
}

void engine_progress(struct engine_job *job, unsigned percent)
{
    uint64_t now = clock_mono_ms();

    if (percent > 99)
        percent = 99;
    if (percent <= job->progress_sent || now - job->progress_ms < PROGRESS_INTERVAL_MS)
        return;

    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_PROGRESS);
    msg_put_u64(&m, percent);
    /* Progress is a courtesy: with a full socket this step is left out and the next one tells more. */
    if (msg_send(job->report_fd, &m) < 0)
        return;
    job->progress_sent = percent;
    job->progress_ms = now;
}

void engine_pages(struct engine_job *job, uint64_t pages)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_PAGES);
    msg_put_u64(&m, pages);
    /* It is the first thing in an empty socket. Should it be lost, the deadline is that of the size alone. */
    (void)!msg_send(job->report_fd, &m);
}

/* The row of the job's target, else the first of that name: what doesn't apply is then not looked at. */
static const struct engine_option *find_option(const struct engine_job *job,
                                               const struct engine_option *options, const char *name)
{
    const struct engine_option *found = NULL;

    for (const struct engine_option *o = options; o->name; o++)
        if (str_eq(o->name, name)) {
            if (!o->targets || words_have(o->targets, job->to->id))
                return o;
            found = found ? found : o;
        }
    return found;
}

long engine_option_value(const struct engine_job *job, const struct engine_option *options, const char *name)
{
    const struct engine_option *o = find_option(job, options, name);
    const json_t *value = json_object_get(job->options, name);

    assert(o && "an option that is not in the engine's table");
    if (json_is_boolean(value))
        return json_is_true(value);
    if (!json_is_integer(value) || json_integer_value(value) < o->min || json_integer_value(value) > o->max)
        return o->fallback;
    return (long)json_integer_value(value);
}

const char *engine_option_text(const struct engine_job *job, const struct engine_option *options,
                               const char *name)
{
    const struct engine_option *o = find_option(job, options, name);
    const char *value = json_string_value(json_object_get(job->options, name));

    assert(o && "an option that is not in the engine's table");
    return value ? value : o->chosen;
}

bool engine_option_colour(const struct engine_job *job, const struct engine_option *options, const char *name,
                          struct colour *ret)
{
    const char *text = engine_option_text(job, options, name);

    return text && colour_parse(text, ret);
}

const char *engine_password(const struct engine_job *job)
{
    return json_string_value(json_object_get(job->options, ENGINE_PASSWORD));
}
