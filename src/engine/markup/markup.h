/* The markup engine, for its program and its tests. */
#pragma once

#include "engine/engine.h"

extern const struct engine engine_markup;

/* What Pandoc calls a format of ours when it reads or writes it; NULL: it does not. */
const char *markup_reader(const char *id);
const char *markup_writer(const char *id);
