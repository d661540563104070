/* Runs of qpdf's own jobs (qpdf manual, "QPDFJob: a Job-Based Interface"), which it takes as JSON. Passwords
 * are in these alone: no other process and no file has them. */
#pragma once

#include "core/outcome.h"
#include "engine/engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What qpdf has to say about a file may quote the file: it belongs into no log. Once, in the zygote. */
void work_be_quiet(void);

/* A job that reads `path` with the source's password; `password` may be NULL. New. */
json_t *work_new(const char *path, const char *password);
void work_set(json_t *work, const char *name, const char *value);

/* Writes what the job says. What qpdf could mend by itself counts as whole. `job` is told how far it is;
 * NULL: nobody is. OUTCOME_CORRUPT_INPUT when it can't be done. */
enum outcome work_run(const json_t *work, struct engine_job *job);

/* Can it be opened, and how many pages has it? OUTCOME_PASSWORD_REQUIRED, OUTCOME_CORRUPT_INPUT (also when
 * there is no page). */
enum outcome work_look(const char *path, const char *password, uint64_t *ret_pages);

/* Does the PDF say that it is PDF/A-1, which knows neither object streams nor what else came after PDF 1.4?
 */
bool work_is_archive_of_1_4(const char *path);

/* Has a file that the job has written all its pages? Of a page that is lost qpdf makes an empty place, and
 * goes on: then OUTCOME_CORRUPT_INPUT. work_run() asks it of the job's one output; of several the caller has
 * to. */
enum outcome work_prove(const json_t *work, const char *path);
