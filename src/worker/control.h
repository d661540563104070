/* Celery's remote control (`celery inspect`, `status`, `control`, Flower): hears commands, does what is meant
 * for this worker and answers. docs/queue.md says which there are, and which are refused with a reason.
 *
 * Whoever can write to Redis can send them, and anything else on their channel: what isn't a command is
 * logged and forgotten. */
#pragma once

#include "core/settings.h"
#include "engine/client.h"
#include "worker/claimer.h"
#include "worker/task_events.h"

struct control_config {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct redis_config *redis;
    struct queue *queue;
    struct claimer *claimer;
    struct engine_pool *engines;
    struct task_events *events;
    unsigned slots;
    void (*shutdown)(void *arg); /* as SIGTERM does */
    void *arg;
};

struct control;

/* Borrows what `config` names. Once commands are heard the worker is online (task_events_online). */
int control_new(const struct control_config *config, struct control **ret) _warn_unused_;
/* Before all that it borrows, also from within `shutdown`; NULL is fine. */
void control_free(struct control *c);
