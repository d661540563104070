/* The child's side of a job: from a sandbox in force to the report.
 *
 * The result is sent before the process ends, and it ends by _exit: tearing a quarter of a gigabyte of
 * library state down helps nobody. A child can lie in its report, but only about its own job; the worker
 * checks the output. */
#include "engine/protocol.h"
#include "engine/zygote.h"

#include "core/msg.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t output_too_large;

/* A handler rather than "ignored": libraries that overlook a failed write would call a cut-off file a result.
 * The write itself fails with EFBIG. */
static void on_file_size(int signal_number)
{
    output_too_large = 1;
}

static enum outcome convert(const struct engine *engine, struct engine_job *job)
{
    struct sigaction action = {.sa_handler = on_file_size, .sa_flags = SA_RESTART};
    enum outcome outcome;

    if (!job->from || !job->to || !json_is_object(job->options) || sigaction(SIGXFSZ, &action, NULL) < 0)
        return OUTCOME_INTERNAL;
    outcome = engine->convert(job);
    return output_too_large ? OUTCOME_TOO_COMPLEX : outcome;
}

void zygote_convert(const struct engine *engine, const struct zygote_job *in)
{
    _cleanup_json_ json_t *options = json_loads(in->options, JSON_REJECT_DUPLICATES, NULL);
    struct engine_job job = {
        .from = format_by_id(in->from),
        .to = format_by_id(in->to),
        .input_path = in->input_path,
        .output_path = in->output_path,
        .options = options,
        .report_fd = in->report_fd,
    };
    enum outcome outcome = convert(engine, &job);
    int flags = fcntl(in->report_fd, F_GETFL);
    struct msg m;

    /* Progress may be dropped, the result may not. */
    if (flags < 0 || fcntl(in->report_fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        _exit(EXIT_FAILURE);
    job.output_name[sizeof job.output_name - 1] = '\0';
    job.output_format[sizeof job.output_format - 1] = '\0';
    msg_init(&m, ENGINE_RESULT);
    msg_put_u64(&m, outcome);
    msg_put_str(&m, job.output_name);
    msg_put_str(&m, job.output_format);
    msg_put_u64(&m, job.pages);
    _exit(msg_send(in->report_fd, &m) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
