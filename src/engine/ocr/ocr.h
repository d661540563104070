/* The OCR engine, for its program and its tests. */
#pragma once

#include "engine/engine.h"

extern const struct engine engine_ocr;
