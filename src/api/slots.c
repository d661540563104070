/* A table of names with their counts, under one lock: it is asked twice in the life of what is counted. */
#include "api/slots.h"

#include "core/cleanup.h"
#include "core/str.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { BUCKETS = 1024 };

struct holder {
    struct holder *next;
    uint64_t taken;
    enum client_kind kind;
    char name[ID_TOKEN_LEN + 1];
};

struct slots {
    pthread_mutex_t lock;
    struct slots_max max;
    uint64_t taken;
    struct holder *buckets[BUCKETS];
};

int slots_new(const struct slots_max *max, struct slots **ret)
{
    struct slots *slots = calloc(1, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    pthread_mutex_init(&slots->lock, NULL);
    slots->max = *max;
    *ret = slots;
    return 0;
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    pthread_mutex_destroy(&slots->lock);
    free(slots);
}

/* Names are hexadecimal digits that nobody can choose: any three of them spread well. What points to the
 * holder, or to where it belongs. */
static struct holder **find(struct slots *slots, enum client_kind kind, const char *name)
{
    const char digits[] = {name[0], name[1], name[2], '\0'};
    struct holder **at = &slots->buckets[strtoul(digits, NULL, 16) % BUCKETS];

    while (*at && !((*at)->kind == kind && str_eq((*at)->name, name)))
        at = &(*at)->next;
    return at;
}

static int take_one(struct slots *slots, enum client_kind kind, const char *name)
{
    struct holder **at = find(slots, kind, name);

    if (!*at) {
        if (slots->max.of[kind] == 0)
            return -EDQUOT;
        *at = calloc(1, sizeof **at);
        if (!*at)
            return -ENOMEM;
        (*at)->kind = kind;
        snprintf((*at)->name, sizeof(*at)->name, "%s", name);
    }
    if ((*at)->taken >= slots->max.of[kind])
        return -EDQUOT;
    (*at)->taken++;
    return 0;
}

static void release_one(struct slots *slots, enum client_kind kind, const char *name)
{
    struct holder **at = find(slots, kind, name), *holder = *at;

    assert(holder);
    if (--holder->taken > 0)
        return;
    *at = holder->next;
    free(holder);
}

/* Of the first `n` kinds. */
static void release_kinds(struct slots *slots, const struct client_names *client, int n)
{
    for (int kind = 0; kind < n; kind++)
        if (client->of[kind])
            release_one(slots, (enum client_kind)kind, client->of[kind]);
}

static int take(struct slots *slots, const struct client_names *client)
{
    if (slots->taken >= slots->max.all)
        return -EAGAIN;
    for (int kind = 0; kind < CLIENT_KINDS; kind++) {
        const char *name = client->of[kind];
        int r = name ? take_one(slots, (enum client_kind)kind, name) : 0;

        if (r < 0) {
            release_kinds(slots, client, kind);
            return r;
        }
    }
    slots->taken++;
    return 0;
}

int slots_take(struct slots *slots, const struct client_names *client)
{
    int r;

    pthread_mutex_lock(&slots->lock);
    r = take(slots, client);
    pthread_mutex_unlock(&slots->lock);
    return r;
}

void slots_release(struct slots *slots, const struct client_names *client)
{
    pthread_mutex_lock(&slots->lock);
    slots->taken--;
    release_kinds(slots, client, CLIENT_KINDS);
    pthread_mutex_unlock(&slots->lock);
}

uint64_t slots_taken(struct slots *slots)
{
    uint64_t taken;

    pthread_mutex_lock(&slots->lock);
    taken = slots->taken;
    pthread_mutex_unlock(&slots->lock);
    return taken;
}
