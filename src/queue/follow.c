#include "queue/follow.h"

#include "core/clock.h"
#include "core/str.h"
#include "queue/envelope.h"
#include "queue/queue_impl.h"
#include "queue/result.h"

#include <errno.h>

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool given(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_null(value);
}

static bool absent_or(const json_t *object, const char *key, bool fits)
{
    return !given(object, key) || fits;
}

/* --- before the task is run */

static bool is_list_of_objects(const json_t *list)
{
    const json_t *item;
    size_t i;

    if (list && !json_is_null(list) && !json_is_array(list))
        return false;
    json_array_foreach(list, i, item) if (!json_is_object(item)) return false;
    return true;
}

static bool is_time(const json_t *value)
{
    return json_is_number(value) || json_is_string(value);
}

static const char *options_refusal(const json_t *options)
{
    const char *id = text(options, "task_id");

    if (!absent_or(options, "queue", queue_name_ok(text(options, "queue"))) ||
        !absent_or(options, "exchange", str_eq(text(options, "exchange"), "")))
        return "a callback goes to a queue that can't be named here";
    if (!absent_or(options, "serializer", str_eq(text(options, "serializer"), "json")))
        return "a callback wants another serializer than JSON";
    if (given(options, "chord"))
        return "chords are not supported";
    if (!absent_or(options, "task_id", id && *id && strlen(id) <= 200 && !strpbrk(id, " \t\r\n")) ||
        !absent_or(options, "countdown", json_is_number(json_object_get(options, "countdown"))) ||
        !absent_or(options, "eta", text(options, "eta")) ||
        !absent_or(options, "expires", is_time(json_object_get(options, "expires"))) ||
        !absent_or(options, "priority", json_is_integer(json_object_get(options, "priority"))) ||
        !is_list_of_objects(json_object_get(options, "link")) ||
        !is_list_of_objects(json_object_get(options, "link_error")))
        return "a callback's options can't be read";
    return NULL;
}

static const char *signature_refusal(const json_t *signature)
{
    if (!json_string_length(json_object_get(signature, "task")) ||
        !absent_or(signature, "args", json_is_array(json_object_get(signature, "args"))) ||
        !absent_or(signature, "kwargs", json_is_object(json_object_get(signature, "kwargs"))) ||
        !absent_or(signature, "options", json_is_object(json_object_get(signature, "options"))))
        return "a callback is no signature of a task";
    if (given(signature, "subtask_type"))
        return "groups, chains and chords as callbacks, and groups in a chain, are not supported";
    return options_refusal(json_object_get(signature, "options"));
}

static const char *list_refusal(const json_t *list, size_t *bytes)
{
    const json_t *signature;
    const char *why;
    size_t i;

    if (json_array_size(list) > FOLLOW_MAX)
        return "there are too many callbacks";
    json_array_foreach(list, i, signature)
    {
        if ((why = signature_refusal(signature)))
            return why;
        *bytes += json_dumpb(signature, NULL, 0, JSON_COMPACT);
    }
    return *bytes > FOLLOW_MAX_BYTES ? "the callbacks take too much room" : NULL;
}

const char *follow_refusal(const struct queue_claim *claim)
{
    size_t bytes = 0;
    const char *why = list_refusal(claim->callbacks, &bytes);

    if (!why)
        why = list_refusal(claim->errbacks, &bytes);
    return why ? why : list_refusal(claim->chain, &bytes);
}

/* --- when it has ended */

static void add_pair(struct follow *f, char *first, char *second)
{
    size_t n = 2 * (f->n_messages + f->n_results);
    char **pairs = realloc(f->pairs, (n + 2) * sizeof *pairs);

    if (!pairs || !first || !second)
        abort();
    f->pairs = pairs;
    pairs[n] = first;
    pairs[n + 1] = second;
}

/* Seconds from now, or a time as it stands: into `ret`, or what the signature has. */
static const char *time_text(const json_t *value, char ret[CLOCK_RFC3339_LEN + 1])
{
    double seconds = json_number_value(value);

    if (!json_is_number(value))
        return json_string_value(value);
    /* Three centuries are enough, and a date that can be written. */
    seconds = seconds < 0 ? 0 : seconds > 1e10 ? 1e10 : seconds;
    clock_rfc3339(clock_real_ms() + (uint64_t)(seconds * 1000), ret);
    return ret;
}

static json_t *arguments_of(const json_t *signature, const json_t *first)
{
    json_t *args = json_array();

    if (!json_is_true(json_object_get(signature, "immutable")))
        json_array_append(args, (json_t *)first);
    json_array_extend(args, json_object_get(signature, "args"));
    return args;
}

/* One message; `chain` is what follows it in turn. */
static int add_message(struct follow *f, const struct queue *q, const struct queue_claim *claim,
                       const json_t *signature, const json_t *first, const json_t *chain)
{
    const json_t *options = json_object_get(signature, "options");
    const char *queue = text(options, "queue") ? text(options, "queue") : q->config.name;
    json_int_t priority = json_integer_value(json_object_get(options, "priority"));
    char id[ID_UUID_LEN + 1], eta[CLOCK_RFC3339_LEN + 1], expires[CLOCK_RFC3339_LEN + 1], *message;
    char traceparent[TRACEPARENT_LEN + 1];
    _cleanup_json_ json_t *args = arguments_of(signature, first);
    struct envelope_task task = {
        .id = text(options, "task_id"),
        .name = text(signature, "task"),
        .args = args,
        .kwargs = json_object_get(signature, "kwargs"),
        .callbacks = json_object_get(options, "link"),
        .errbacks = json_object_get(options, "link_error"),
        .chain = chain,
        .priority = (unsigned)(priority < 0   ? 0
                               : priority > 9 ? 9
                                              : priority),
        .eta = given(options, "countdown") ? time_text(json_object_get(options, "countdown"), eta)
                                           : text(options, "eta"),
        .expires = time_text(json_object_get(options, "expires"), expires),
        .root_id = claim->root_id ? claim->root_id : claim->id,
        .parent_id = claim->id,
        .group_id = text(options, "group_id"),
        .group_index = json_object_get(options, "group_index"),
        .ignore_result = json_is_true(json_object_get(options, "ignore_result")),
        .queue = queue,
        .origin = q->origin,
        .reply_to = text(options, "reply_to"),
    };
    int r;

    if (claim->trace.id[0]) {
        trace_next(&claim->trace, traceparent);
        task.traceparent = traceparent;
    }
    if (!task.id) {
        id_uuid(id);
        task.id = id;
    }
    if (json_is_null(task.kwargs))
        task.kwargs = NULL;
    if (!task.reply_to)
        task.reply_to = claim->reply_to ? claim->reply_to : q->owner;
    r = envelope_encode(&task, &message);
    if (r < 0)
        return r == -EINVAL ? -EMSGSIZE : r;

    char *list = NULL;

    if (asprintf(&list, "%s%s", queue, queue_step_name(envelope_step(task.priority))) < 0)
        abort();
    add_pair(f, list, message);
    f->n_messages++;
    json_array_append_new(f->children, json_pack("[[s, n], n]", task.id));
    return 0;
}

static int add_all(struct follow *f, const struct queue *q, const struct queue_claim *claim,
                   const json_t *signatures, const json_t *first)
{
    const json_t *signature;
    size_t i;
    int r = 0;

    json_array_foreach(signatures, i,
                       signature) if ((r = add_message(f, q, claim, signature, first, NULL)) < 0) break;
    return r;
}

/* The last one is the next; what is before it comes later. */
static int add_chain(struct follow *f, const struct queue *q, const struct queue_claim *claim,
                     const json_t *value)
{
    size_t n = json_array_size(claim->chain);
    _cleanup_json_ json_t *rest = n > 0 ? json_copy(claim->chain) : NULL;

    if (n == 0)
        return 0;
    json_array_remove(rest, n - 1);
    return add_message(f, q, claim, json_array_get(claim->chain, n - 1), value, n > 1 ? rest : NULL);
}

static int fail_chain(struct follow *f, const struct queue_claim *claim, const struct queue_result *result)
{
    const json_t *signature;
    size_t i;

    json_array_foreach(claim->chain, i, signature)
    {
        const json_t *options = json_object_get(signature, "options");
        const char *id = text(options, "task_id");
        char *payload;

        if (!id) /* then nobody can wait for it */
            continue;
        payload = result_payload_of(id, text(options, "group_id"), claim->id, result);
        if (!payload)
            return -EMSGSIZE;
        add_pair(f, strdup(id), payload);
        f->n_results++;
    }
    return 0;
}

static int make(const struct queue *q, const struct queue_claim *claim, const struct queue_result *result,
                struct follow *f)
{
    _cleanup_json_ json_t *value = result->result ? json_incref((json_t *)result->result) : json_null(),
                          *id = json_string(claim->id);
    int r = 0;

    if (result->state == QUEUE_SUCCESS) {
        r = add_all(f, q, claim, claim->callbacks, value);
        return r < 0 ? r : add_chain(f, q, claim, value);
    }
    if (result->state != QUEUE_REVOKED)
        r = add_all(f, q, claim, claim->errbacks, id);
    return r < 0 ? r : fail_chain(f, claim, result);
}

int follow_make(const struct queue *q, const struct queue_claim *claim, const struct queue_result *result,
                struct follow *ret)
{
    _cleanup_follow_ struct follow f = {.children = json_array()};
    int r = make(q, claim, result, &f);

    if (r < 0)
        return r;
    *ret = f;
    f = (struct follow){0};
    return 0;
}

void follow_free(struct follow *f)
{
    for (size_t i = 0; i < 2 * (f->n_messages + f->n_results); i++)
        free(f->pairs[i]);
    free(f->pairs);
    json_decref(f->children);
}
