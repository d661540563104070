/* The header Prefer (RFC 7240): how a client would like to be answered. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct prefer {
    bool respond_async, has_wait;
    uint64_t wait_s;
};

/* Adds what one line of it says; NULL says nothing. Of a preference that is there twice the first counts, and
 * what is malformed or unknown is as good as not sent. */
void prefer_read(struct prefer *p, const char *line);
