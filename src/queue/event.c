#include "queue/event.h"

#include "core/str.h"
#include "queue/kombu.h"

#include <errno.h>
#include <time.h>

#define EXCHANGE "celeryev"

static void routing_key(const char *type, char ret[EVENT_TOPIC_MAX])
{
    snprintf(ret, EVENT_TOPIC_MAX, "%s", type);
    for (char *c = ret; *c; c++)
        if (*c == '-')
            *c = '.';
}

void event_topic(const char *type, char ret[EVENT_TOPIC_MAX])
{
    char key[EVENT_TOPIC_MAX];

    routing_key(type, key);
    snprintf(ret, EVENT_TOPIC_MAX, "/0." EXCHANGE "/%.40s", key);
}

/* Hours west of Greenwich, as Python's time.timezone counts, rounded down. */
static int utc_offset(time_t now)
{
    struct tm local;
    long west = localtime_r(&now, &local) ? -local.tm_gmtoff : 0;

    return (int)((west - (west < 0 ? 3599 : 0)) / 3600);
}

int event_encode(const struct event *e, char **ret_message)
{
    struct timespec now;
    char key[EVENT_TOPIC_MAX];

    clock_gettime(CLOCK_REALTIME, &now);
    routing_key(e->type, key);

    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:i, s:i, s:I, s:f, s:s}", "hostname", e->node, "utcoffset", utc_offset(now.tv_sec),
                  "pid", (int)getpid(), "clock", (json_int_t)e->clock, "timestamp",
                  (double)now.tv_sec + (double)now.tv_nsec / 1e9, "type", e->type);
    _cleanup_json_ json_t *headers = json_pack("{s:s}", "hostname", e->node);
    _cleanup_json_ json_t *properties = kombu_properties(EXCHANGE, key, 1, 0);

    if (!body || (e->fields && json_object_update_missing(body, e->fields) < 0))
        return -EINVAL;
    return kombu_write(body, headers, properties, ret_message);
}
