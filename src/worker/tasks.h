/* The tasks that a worker knows, by their names. */
#pragma once

#include "state/preview.h"

#include <stddef.h>

#define TASK_CONVERT      "decant.convert"
#define TASK_CONVERT_FILE "decant.convert_file" /* exchange_task.h */

enum { TASKS = 3 };
extern const char *const task_names[TASKS + 1]; /* NULL-terminated */
/* TASKS when it is none of them; NULL is none. */
size_t task_index(const char *name);
