/* The pages engine, for its program and its tests. */
#pragma once

#include "engine/engine.h"

/* engine_pages is a function of the frame. */
extern const struct engine pages_engine;
