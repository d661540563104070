/* Whether Poppler computes colours. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

/* Once in a zygote: puts the switch into the colour library. 0 or -EIO. */
int colours_prepare(void) _warn_unused_;
/* For the pages that are read from now on. They are on at first. */
void colours_switch(bool on);
