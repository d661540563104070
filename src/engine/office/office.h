/* Documents, spreadsheets, presentations and drawings, by LibreOffice. */
#pragma once

#include "engine/engine.h"

extern const struct engine engine_office;
