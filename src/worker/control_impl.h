/* Shared by control.c and the files of the commands; private to these. */
#pragma once

#include "queue/monitor.h"
#include "worker/control.h"

struct control {
    struct control_config config;
    struct redis_sub *sub;
    uint64_t started_ms; /* monotonic */
    unsigned refs;       /* the owner's, and one for each call */
    bool freed;
};

/* One command that has come. Each ends with control_answer() or control_ignore(), then or later. */
struct control_call {
    struct control *control;
    struct pidbox_request request;
    int signal; /* revoke's own */
};

/* Takes `reply` over; NULL is Python's None. The call is gone after it. */
void control_answer(struct control_call *call, json_t *reply);
/* {"ok": …}, {"error": …} */
void control_ok(struct control_call *call, const char *format, ...) _printf_(2, 3);
void control_error(struct control_call *call, const char *format, ...) _printf_(2, 3);
/* Nobody is told. */
void control_ignore(struct control_call *call);

/* False once the control is freed: then nothing that its config names may be touched any more. */
static inline bool control_lives(const struct control_call *call)
{
    return !call->control->freed;
}

static inline const json_t *control_argument(const struct control_call *call, const char *name)
{
    return json_object_get(call->request.arguments, name);
}

struct control_command {
    const char *name, *alias; /* alias: or NULL */
    void (*run)(struct control_call *call);
    const char *refusal; /* instead of `run`: why not */
};

/* Ends with one without a name. */
extern const struct control_command control_inspections[]; /* look: control_inspect.c */
extern const struct control_command control_changes[];     /* act: control_change.c */
