/* Programs that an engine executes, in the job's sandbox, each in a process that was made ahead for it
 * (sandbox/tools.h). In the child. */
#pragma once

#include "engine/engine.h"

#include <stddef.h>

/* A line of what the program writes to standard output and error, without its end; longer ones come in parts.
 * Lines may end by a carriage return, as those of progress do. */
typedef void tool_line_fn(void *arg, const char *line);

/* Runs argv (NULL-terminated; argv[0] is one of engine.programs) to its end. OUTCOME_OK when it has exited
 * with 0; `ret_status` is its exit status, if it had one, else -1 and the outcome says what ended it:
 * too_complex for a limit, engine_crashed. What another status means is the engine's to say:
 * OUTCOME_CORRUPT_INPUT here. A program that makes a forbidden call ends the child, too. OUTCOME_INTERNAL
 * when there is no run left, or it can't be started. `fn` may be NULL. */
enum outcome tool_run(struct engine_job *job, const char *const argv[], tool_line_fn *fn, void *arg,
                      int *ret_status);

/* In the zygote. engine.warm of such an engine: serves when all programs are there; else -ENOENT, and
 * `missing`, a sentence, is the reason. */
int tool_warm(const char *const *programs, const char *missing, engine_serve_fn *serve, void *arg,
              const char **ret_why);
/* engine.version: `name` and the word that follows `prefix` in the first line that argv writes; nothing when
 * that begins otherwise. */
void tool_version(const char *const argv[], const char *prefix, const char *name, char *ret, size_t size);
