/* A table of sessions with their counts, under one lock: it is asked twice in the life of a stream. */
#include "api/event_slots.h"

#include "core/cleanup.h"
#include "core/id.h"
#include "core/str.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

enum { BUCKETS = 1024 };

struct holder {
    struct holder *next;
    uint64_t streams;
    char session_id[ID_TOKEN_LEN + 1];
};

struct event_slots {
    pthread_mutex_t lock;
    uint64_t max, max_of_session, streams;
    struct holder *buckets[BUCKETS];
};

int event_slots_new(uint64_t max, uint64_t max_of_session, struct event_slots **ret)
{
    struct event_slots *slots = calloc(1, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    pthread_mutex_init(&slots->lock, NULL);
    slots->max = max;
    slots->max_of_session = max_of_session;
    *ret = slots;
    return 0;
}

void event_slots_free(struct event_slots *slots)
{
    if (!slots)
        return;
    pthread_mutex_destroy(&slots->lock);
    free(slots);
}

/* Ids are random hexadecimal digits: any three of them spread well. What points to the holder, or to where it
 * belongs. */
static struct holder **find(struct event_slots *slots, const char *session_id)
{
    const char digits[] = {session_id[0], session_id[1], session_id[2], '\0'};
    struct holder **at = &slots->buckets[strtoul(digits, NULL, 16) % BUCKETS];

    while (*at && !str_eq((*at)->session_id, session_id))
        at = &(*at)->next;
    return at;
}

static int take(struct event_slots *slots, const char *session_id)
{
    struct holder **at = find(slots, session_id);

    if (slots->streams >= slots->max)
        return -EAGAIN;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            return -ENOMEM;
        memcpy((*at)->session_id, session_id, sizeof(*at)->session_id);
    }
    if ((*at)->streams >= slots->max_of_session)
        return -EDQUOT;
    (*at)->streams++;
    slots->streams++;
    return 0;
}

int event_slots_take(struct event_slots *slots, const char *session_id)
{
    int r;

    pthread_mutex_lock(&slots->lock);
    r = take(slots, session_id);
    pthread_mutex_unlock(&slots->lock);
    return r;
}

void event_slots_release(struct event_slots *slots, const char *session_id)
{
    struct holder **at, *gone = NULL;

    pthread_mutex_lock(&slots->lock);
    at = find(slots, session_id);
    assert(*at);
    slots->streams--;
    if (--(*at)->streams == 0) {
        gone = *at;
        *at = gone->next;
    }
    pthread_mutex_unlock(&slots->lock);
    free(gone);
}
