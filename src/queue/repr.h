/* Values as Python prints them, for what Celery's monitors show; and what of a task's arguments they may
 * show: ids (UUIDs) alone, never names, options or session ids. */
#pragma once

#include "core/cleanup.h"

enum { REPR_MAX_BYTES = 1024 };

/* "{'pages': 3, 'name': None}". What passes REPR_MAX_BYTES, or lies deep, is "...". NULL when memory is out.
 */
char *repr_python(const json_t *value) _warn_unused_;

/* The same arguments with "..." for all that isn't an id. Keys that are no plain lower-case names are left
 * out. NULL when memory is out. */
json_t *repr_args(const json_t *args) _warn_unused_;
json_t *repr_kwargs(const json_t *kwargs) _warn_unused_;
