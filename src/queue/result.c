#include "queue/result.h"

#include "core/clock.h"
#include "core/str.h"
#include "queue/envelope.h"

/* exc_module: Celery's clients look the class up there, and make one up when there is none of that name. */
static const struct {
    const char *status, *exc_type, *exc_module;
} states[] = {
    [QUEUE_SUCCESS] = {"SUCCESS", NULL, NULL},
    [QUEUE_FAILURE] = {"FAILURE", "TaskError", "decant"},
    [QUEUE_REVOKED] = {"REVOKED", "TaskRevokedError", "celery.exceptions"},
    [QUEUE_REJECTED] = {"FAILURE", "TaskRejected", "decant"},
};

const char *result_status(enum queue_state state)
{
    return states[state].status;
}

/* Whose result it is. */
struct task {
    const char *id, *group_id, *parent_id; /* the last two may be NULL */
    const json_t *children;                /* NULL: none */
};

/* Takes over `value`. */
static char *dump(const struct task *task, const char *status, json_t *value, const char *date_done)
{
    _cleanup_json_ json_t *children = task->children ? json_incref((json_t *)task->children) : json_array();
    _cleanup_json_ json_t *meta =
        json_pack("{s:s, s:o, s:n, s:O, s:s?, s:s}", "status", status, "result", value, "traceback",
                  "children", children, "date_done", date_done, "task_id", task->id);

    if (!meta)
        return NULL;
    if (task->group_id)
        json_object_set_new(meta, "group_id", json_string(task->group_id));
    if (task->parent_id)
        json_object_set_new(meta, "parent_id", json_string(task->parent_id));

    _cleanup_free_ char *text = json_dumps(meta, JSON_COMPACT | JSON_ENSURE_ASCII);

    return text && strlen(text) <= ENVELOPE_MAX_BYTES ? TAKE_PTR(text) : NULL;
}

static json_t *exception(const char *type, const char *message, const char *module)
{
    return json_pack("{s:s, s:[s], s:s}", "exc_type", type, "exc_message", message, "exc_module", module);
}

static struct task task_of(const struct queue_claim *claim)
{
    return (struct task){.id = claim->id, .group_id = claim->group_id, .parent_id = claim->parent_id};
}

static json_t *exception_of(const struct queue_result *result)
{
    return exception(result->exc_type ? result->exc_type : states[result->state].exc_type,
                     result->exc_message ? result->exc_message : "", states[result->state].exc_module);
}

static char *payload(const struct task *task, const struct queue_result *result)
{
    char date[CLOCK_RFC3339_LEN + 1];
    json_t *value;

    if (result->state == QUEUE_SUCCESS)
        value = result->result ? json_incref((json_t *)result->result) : json_null();
    else
        value = exception_of(result);
    clock_rfc3339(clock_real_ms(), date);
    date[CLOCK_RFC3339_LEN - 1] = '\0'; /* Celery 5.2 writes UTC without saying so */
    return dump(task, states[result->state].status, value, date);
}

char *result_payload(const struct queue_claim *claim, const struct queue_result *result,
                     const json_t *children)
{
    struct task task = task_of(claim);

    task.children = children;
    return payload(&task, result);
}

char *result_payload_of(const char *id, const char *group_id, const char *parent_id,
                        const struct queue_result *result)
{
    return payload(&(struct task){.id = id, .group_id = group_id, .parent_id = parent_id}, result);
}

char *result_retry_payload(const struct queue_claim *claim, const struct queue_result *result)
{
    struct task task = task_of(claim);

    return dump(&task, "RETRY", exception_of(result), NULL);
}

char *result_started_payload(const struct queue_claim *claim, const json_t *meta)
{
    struct task task = task_of(claim);
    char host[256] = "";

    if (meta)
        return dump(&task, "PROGRESS", json_incref((json_t *)meta), NULL);
    gethostname(host, sizeof host - 1);
    return dump(&task, "STARTED", json_pack("{s:i, s:s}", "pid", (int)getpid(), "hostname", host), NULL);
}

char *result_given_back_payload(const struct queue_claim *claim, const char *why)
{
    struct task task = task_of(claim);

    return dump(&task, "RETRY", exception("Retry", why, "celery.exceptions"), NULL);
}
