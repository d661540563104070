/* W3C Trace Context, the header `traceparent` (https://www.w3.org/TR/trace-context/, section 3.2): which
 * trace a request belongs to, so that what several programs log of it can be found together. `tracestate` is
 * the business of tracing systems, and not kept. */
#pragma once

#include <stdbool.h>

enum { TRACE_ID_LEN = 32, TRACE_SPAN_LEN = 16, TRACEPARENT_LEN = 55 };

struct trace {
    char id[TRACE_ID_LEN + 1];     /* lower-case hexadecimal digits; "" none */
    char span[TRACE_SPAN_LEN + 1]; /* the caller's part of it, or ours in a new one */
    unsigned flags;                /* bit 0: sampled */
};

/* Of version 00 the whole of it has to be right, of a later one what version 00 knows, as the standard has
 * it. False for all else, and for NULL. */
bool trace_parse(const char *traceparent, struct trace *ret);
/* A new one, not sampled: nobody has asked for it to be kept. */
void trace_new(struct trace *ret);
/* As a version 00 header, with a new span for what is asked for next. */
void trace_next(const struct trace *trace, char ret[TRACEPARENT_LEN + 1]);
