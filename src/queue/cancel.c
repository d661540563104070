/* A task is called off by whom it was enqueued for. */
#include "core/str.h"
#include "queue/event.h"
#include "queue/queue_impl.h"
#include "queue/result.h"

#include <errno.h>

/* As Celery's workers tell it; "" when it is not wanted. */
static char *revoked_event(struct queue *q, const char *id)
{
    struct event e = {.type = "task-revoked", .node = q->origin};
    char *text = NULL;

    if (!q->config.sent_events)
        return strdup("");
    e.fields = json_pack("{s:s, s:b, s:n, s:b}", "uuid", id, "terminated", 0, "signum", "expired", 0);
    e.clock = lamport_forward(&q->clock);
    if (!e.fields || event_encode(&e, &text) < 0)
        text = strdup("");
    json_decref(e.fields);
    return text;
}

void queue_cancel(struct queue *q, const struct queue_cancellation *c, const struct queue_hash *hash,
                  queue_fn *fn, void *arg)
{
    const struct queue_result result = {.state = QUEUE_REVOKED, .exc_message = c->why};
    struct queue_op *op = queue_op_new(q, fn, arg);
    _cleanup_free_ char *meta = result_payload_of(c->id, NULL, NULL, &result),
                        *event = revoked_event(q, c->id);

    if (!event)
        abort();
    if (!meta) {
        queue_op_fail(op, -EINVAL);
        return;
    }
    queue_eval(q, SCRIPT_CANCEL, REDIS(q->all, c->id, meta, c->stop_channel, event, c->crowd), hash,
               queue_op_on_code, op);
}
