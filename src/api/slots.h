/* How many event streams there may be: in the whole process, and for each session. Safe to use from all
 * loops. */
#pragma once

#include <stdint.h>

struct event_slots;

int event_slots_new(uint64_t max, uint64_t max_of_session, struct event_slots **ret);
/* All must have been released. NULL is fine. */
void event_slots_free(struct event_slots *slots);
/* 0; -EDQUOT: the session has all it may have; -EAGAIN: the process has; -ENOMEM. */
int event_slots_take(struct event_slots *slots, const char *session_id);
void event_slots_release(struct event_slots *slots, const char *session_id);
