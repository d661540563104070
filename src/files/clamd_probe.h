/* Is a clamd one whose OK can be believed? What its configuration says can't be asked for, so it is tried, by
 * files that are made here:
 *
 *     EICAR by itself                            has to be found
 *     EICAR in archives of archives, too deep    found, or told that nobody knows (AlertExceedsMax)
 *     an encrypted archive                       told (AlertEncrypted), where the policy refuses those
 *     EICAR in an archive as large as an upload  found, or told that nobody knows
 *
 * The last one costs clamd a third of a second for 100 MiB. */
#pragma once

#include "files/clamd.h"

#include <stdbool.h>

enum clamd_fitness {
    CLAMD_FIT,     /* `text`: "", or what it will refuse for want of a setting */
    CLAMD_UNFIT,   /* its OK means nothing; `text` says what to set */
    CLAMD_UNTRIED, /* it did not answer; `text` says how */
};
typedef void clamd_probe_fn(void *arg, enum clamd_fitness fitness, const char *text);

struct clamd_demands {
    uint64_t file_bytes; /* the largest upload */
    bool refuse_encrypted;
    uint64_t timeout_ms; /* for each file */
};

struct clamd_probe;

/* `c` and `demands` are borrowed until the callback, which comes once, never before this has returned; the
 * probe is gone then. NULL without memory. */
struct clamd_probe *clamd_probe_start(struct clamd *c, const struct clamd_demands *demands,
                                      clamd_probe_fn *fn, void *arg);
/* No callback comes after this. Not after the callback. */
void clamd_probe_cancel(struct clamd_probe *p);
