/* What a loop knows of the clients of GET /events. */
#pragma once

#include "api/api.h"

/* NULL when memory is short. */
struct events *events_new(void);
/* After the HTTP loop and the connection to Redis, which end what is left. NULL is fine. */
void events_free(struct events *events);
