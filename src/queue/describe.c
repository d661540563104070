#include "queue/describe.h"

#include "queue/kombu.h"
#include "queue/repr.h"

/* Of a task: what can be read, and the parts that every description has. */
struct task {
    struct kombu kombu;
    json_t *args, *kwargs; /* as they may be shown */
};

static void task_free(struct task *t)
{
    kombu_free(&t->kombu);
    json_decref(t->args);
    json_decref(t->kwargs);
}
#define _cleanup_task_ _cleanup_(task_free)

static int task_read(const char *message, size_t len, struct task *ret)
{
    const char *why;
    int r = kombu_read(message, len, &ret->kombu, &why);

    if (r < 0)
        return r;

    _cleanup_json_ json_t *body = kombu_body(&ret->kombu);

    ret->args = repr_args(json_array_get(body, 0));
    ret->kwargs = repr_kwargs(json_array_get(body, 1));
    return 0;
}

/* A header or property, for who takes references of their own. */
static json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static json_t *text_of(const json_t *value)
{
    _cleanup_free_ char *text = repr_python(value);

    return text ? json_string(text) : NULL;
}

/* Python shows a tuple. */
static json_t *args_text(const json_t *args)
{
    return json_array_size(args) > 0 ? text_of(args) : json_string("()");
}

json_t *describe_task(const char *message, size_t len, bool as_text)
{
    _cleanup_task_ struct task t = {0};

    if (task_read(message, len, &t) < 0)
        return NULL;

    const json_t *headers = t.kombu.headers, *properties = t.kombu.properties,
                 *delivery = get(properties, "delivery_info");
    json_t *name = get(headers, "task");

    return json_pack("{s:O?, s:O?, s:O?, s:o, s:o, s:{s:O?, s:O?, s:O?, s:b}}", "id", get(headers, "id"),
                     "name", name, "type", name, "args", as_text ? args_text(t.args) : json_incref(t.args),
                     "kwargs", as_text ? text_of(t.kwargs) : json_incref(t.kwargs), "delivery_info",
                     "exchange", get(delivery, "exchange"), "routing_key", get(delivery, "routing_key"),
                     "priority", get(properties, "priority"), "redelivered",
                     json_is_true(get(delivery, "redelivered")));
}

static json_t *received(const struct task *t)
{
    const json_t *headers = t->kombu.headers;

    return json_pack("{s:O?, s:O?, s:o, s:o, s:O?, s:O?, s:O?, s:O?, s:O?}", "uuid", get(headers, "id"),
                     "name", get(headers, "task"), "args", args_text(t->args), "kwargs", text_of(t->kwargs),
                     "root_id", get(headers, "root_id"), "parent_id", get(headers, "parent_id"), "retries",
                     get(headers, "retries"), "eta", get(headers, "eta"), "expires", get(headers, "expires"));
}

json_t *describe_received(const char *message, size_t len)
{
    _cleanup_task_ struct task t = {0};

    return task_read(message, len, &t) < 0 ? NULL : received(&t);
}

json_t *describe_sent(const char *message, size_t len)
{
    _cleanup_task_ struct task t = {0};

    if (task_read(message, len, &t) < 0)
        return NULL;

    const json_t *delivery = get(t.kombu.properties, "delivery_info");
    json_t *fields = received(&t);

    json_object_set(fields, "queue", get(delivery, "routing_key"));
    json_object_set(fields, "exchange", get(delivery, "exchange"));
    json_object_set(fields, "routing_key", get(delivery, "routing_key"));
    return fields;
}
