#include "worker/runner_parts.h"

#include "core/xalloc.h"

static void prepare_file(struct runner *r)
{
    exchange_task_prepare(r->file, r->context->storage, r->context->conversions, r->claim->id,
                          r->claim->kwargs);
}

static void on_prepared(struct runner *r)
{
    if (runner_called_off(r))
        return;
    if (r->file->code) {
        r->attempt.reason = r->file->code;
        r->attempt.reason_text = r->file->sentence;
        runner_settle(r, END_REFUSED);
        return;
    }
    r->route = r->file->route;
    r->attempt.engine = r->route->engines;
    if (!runner_find_place(r))
        return;
    runner_log_started(r);
    runner_mark_begun(r);
    runner_convert(r, &(struct conversion_request){.job_fd = r->file->file.job_fd,
                                                   .input = r->file->file.input,
                                                   .route = r->route,
                                                   .options = r->file->options});
}

int runner_publish_file(struct runner *r, const struct conversion_output *output)
{
    return exchange_publish(&r->file->file, output->work, output->name, output->format->id);
}

static void sweep_file(struct runner *r)
{
    exchange_sweep(r->context->storage, r->claim->id);
}

void runner_begin_file(struct runner *r)
{
    r->file = xcalloc(1, sizeof *r->file);
    r->dropped = r->revoked || r->claim->gave_up; /* there is nothing to drop */
    if (r->revoked)
        runner_do_then(r, sweep_file, runner_call_off);
    else if (r->claim->gave_up)
        runner_do_then(r, sweep_file, runner_give_up);
    else
        runner_do_then(r, prepare_file, on_prepared);
}
