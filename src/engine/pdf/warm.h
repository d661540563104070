#pragma once

#include "engine/pdf/page.h"

/* Loads what a first page always loads: encodings, fonts, the font configuration, code. Once; 0 or -EIO. */
int warm_up(const struct target *targets, size_t n) _warn_unused_;
