/* What would make a result today: the release of Decant, each engine's library, and the scanner with its
 * signatures, as the workers tell. Where they differ among themselves nobody knows which one will do it. */
#pragma once

#include "state/worker_info.h"

#include <stddef.h>

enum { EDITIONS_ENGINES_MAX = 32, EDITIONS_NAME_MAX = 16, EDITIONS_TEXT_MAX = 128 };

/* "" is not known, or not the same everywhere. */
struct editions {
    size_t n;
    struct {
        char engine[EDITIONS_NAME_MAX], version[EDITIONS_TEXT_MAX];
    } engines[EDITIONS_ENGINES_MAX];
    char decant[EDITIONS_TEXT_MAX];
    char scanner[EDITIONS_TEXT_MAX + 8]; /* "up " and clamd's version, or "off" */
};

void editions_learn(struct editions *ret, const struct worker_info *workers, size_t n);
/* Of the engine's library. */
const char *editions_of(const struct editions *e, const char *engine);
