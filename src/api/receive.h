/* A file that a client sends, on its way to the disk: written as it comes into an unnamed file, counted and
 * hashed on the way, and looked at when it is whole. What goes wrong before it is stored leaves nothing
 * behind. A part of whoever reads the body (POST /upload, POST /v1/convert), in the request's memory.
 *
 *     intake_begin(&r->in, …) → receive_begin → receive_data … → receive_check (a thread) → receive_store */
#pragma once

#include "api/intake.h"

struct receive {
    struct intake in;
    struct sha256_ctx sha256;
    int checked; /* what receive_check() has found */
};

/* Why there is to be no more of a body. */
struct refusal {
    enum api_error error;
    const char *detail; /* lives as long as the request; NULL: it is not refused */
};

/* Fills `ret`; -ECANCELED, for a parser's event to return. */
int refuse(struct refusal *ret, enum api_error error, const char *detail);

/* 0, or -ECANCELED with why. `filename` is what was sent. */
int receive_begin(struct receive *r, const char *filename, struct refusal *why) _warn_unused_;
int receive_data(struct receive *r, const void *data, size_t len, struct refusal *why) _warn_unused_;

/* Is it what it says, and what is its hash? All of it is there; may take long. To be called once. */
void receive_check(struct receive *r);
/* … and then, on the loop: it becomes a job, or why not is said. Ends its call (intake.h). */
void receive_store(struct receive *r);
