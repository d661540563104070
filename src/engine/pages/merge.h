/* Several documents as one. */
#pragma once

#include "engine/engine.h"

/* Joins the files 0001.pdf, 0002.pdf, … of the folder job->input_path, in the order of their names. What
 * belongs to a document as a whole (its title, outline, attachments) is that of the first; forms and the
 * numbers of pages are those of all. The option "password" opens those that are protected; the result isn't.
 */
enum outcome merge_write(struct engine_job *job);
