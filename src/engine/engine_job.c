/* What an engine's convert() may ask of the frame. */
#include "engine/engine.h"
#include "engine/protocol.h"

#include "core/clock.h"
#include "core/msg.h"
#include "core/str.h"

#include <assert.h>

enum { PROGRESS_INTERVAL_MS = 100 };

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

long engine_option_value(const struct engine_job *job, const struct engine_option *options, const char *name)
{
    for (const struct engine_option *o = options; o->name; o++) {
        if (!str_eq(o->name, name))
            continue;

        const json_t *value = json_object_get(job->options, name);

        if (!json_is_integer(value) || json_integer_value(value) < o->min ||
            json_integer_value(value) > o->max)
            return o->fallback;
        return (long)json_integer_value(value);
    }
    assert(!"an option that is not in the engine's table");
    return 0;
}

const char *engine_password(const struct engine_job *job)
{
    return json_string_value(json_object_get(job->options, ENGINE_PASSWORD));
}
