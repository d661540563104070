/* What a task's message says to do when it has ended: callbacks (link), errbacks (link_error) and the rest of
 * a chain. Each is a signature as Celery writes it: {"task", "args", "kwargs", "options", "subtask_type",
 * "immutable"}. They are made into messages when the task ends, and enqueued by the script that ends it. */
#pragma once

#include "queue/queue.h"

enum { FOLLOW_MAX = 100, FOLLOW_MAX_BYTES = 512 * 1024 };

/* NULL when all of them can be followed, else a sentence: groups, chords, other serializers, what is no
 * signature, more than FOLLOW_MAX or FOLLOW_MAX_BYTES. To be asked before the task is run. */
const char *follow_refusal(const struct queue_claim *claim);

struct follow {
    size_t n_messages, n_results;
    char **pairs;     /* list, message, list, message, …; then task id, result, … */
    json_t *children; /* as a result tells them */
};

/* After SUCCESS: the callbacks and the next of the chain, with the result before their arguments unless they
 * are immutable. After FAILURE and REJECTED: the errbacks, with the task's id; and the same failure for each
 * task of the chain, as nobody will run it; that also after REVOKED. -EMSGSIZE when one can't be said;
 * -ENOMEM. */
int follow_make(const struct queue *q, const struct queue_claim *claim, const struct queue_result *result,
                struct follow *ret) _warn_unused_;
void follow_free(struct follow *f);
#define _cleanup_follow_ _cleanup_(follow_free)
