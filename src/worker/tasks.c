#include "worker/tasks.h"

#include "core/str.h"

const char *const task_names[TASKS + 1] = {TASK_CONVERT, TASK_CONVERT_FILE, TASK_PREVIEW, NULL};

size_t task_index(const char *name)
{
    size_t i = 0;

    while (i < TASKS && !str_eq(task_names[i], name))
        i++;
    return i;
}
