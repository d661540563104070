#include "worker/control.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "worker/control_impl.h"

#include <errno.h>
#include <stdarg.h>

static void control_unref(struct control *c)
{
    if (--c->refs == 0)
        free(c);
}

/* --- the end of a call */

void control_ignore(struct control_call *call)
{
    control_unref(call->control);
    pidbox_request_free(&call->request);
    free(call);
}

void control_answer(struct control_call *call, json_t *reply)
{
    const struct control_config *config = &call->control->config;

    if (control_lives(call) && call->request.reply_to)
        queue_reply(config->queue, &call->request, task_events_node(config->events),
                    lamport_forward(task_events_clock(config->events)), reply);
    json_decref(reply);
    control_ignore(call);
}

static void answer_text(struct control_call *call, const char *key, const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        abort();
    control_answer(call, json_pack("{s:s}", key, text));
    free(text);
}

void control_ok(struct control_call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer_text(call, "ok", format, args);
    va_end(args);
}

void control_error(struct control_call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer_text(call, "error", format, args);
    va_end(args);
}

/* --- its beginning */

static const struct control_command *find(const struct control_command *commands, const char *name)
{
    for (; commands->name; commands++)
        if (str_eq(commands->name, name) || str_eq(commands->alias, name))
            return commands;
    return NULL;
}

static void run(struct control_call *call)
{
    const char *method = call->request.method;
    const struct control_command *command = find(control_inspections, method);

    if (!command && (command = find(control_changes, method)))
        log_info("remote control", LOG_S("command", command->name));
    if (!command)
        control_error(call, "KeyError('%s')", method); /* Celery's word for it */
    else if (command->refusal)
        control_error(call, "%s", command->refusal);
    else
        command->run(call);
}

static void on_message(void *arg, const char *channel, const char *message)
{
    struct control *c = arg;
    struct lamport *clock = task_events_clock(c->config.events);
    struct pidbox_request request = {0};
    struct control_call *call;
    const char *why = "not a text";
    int r = -EBADMSG;

    if (!channel) {
        task_events_online(c->config.events);
        return;
    }
    lamport_forward(clock);
    if (message)
        r = pidbox_decode(message, strlen(message), clock_real_ms(), &request, &why);
    if (r == -EBADMSG)
        log_warn("a message on the channel of remote control is none", LOG_S("why", why));
    if (r < 0)
        return;
    lamport_adjust(clock, request.clock);
    if (!pidbox_is_for(&request, task_events_node(c->config.events))) {
        pidbox_request_free(&request);
        return;
    }
    call = xcalloc(1, sizeof *call);
    *call = (struct control_call){.control = c, .request = request};
    c->refs++;
    run(call);
}

int control_new(const struct control_config *config, struct control **ret)
{
    _cleanup_free_ char *channel = queue_control_channel(config->queue);
    struct control *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return -ENOMEM;
    r = redis_sub_new(config->loop, config->redis, &c->sub);
    if (r < 0) {
        free(c);
        return r;
    }
    c->config = *config;
    c->started_ms = clock_mono_ms();
    c->refs = 1;
    redis_sub_start(c->sub, REDIS(channel), on_message, c);
    *ret = c;
    return 0;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    c->freed = true;
    redis_sub_free(c->sub);
    control_unref(c);
}
