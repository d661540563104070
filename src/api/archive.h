/* GET /download/archive: the results of many jobs as one ZIP, which is never anywhere as a whole.
 *
 * Sizes and times of all are known before the first byte, and so is the archive's length. Then each file is
 * read twice by libuv's threads, in short turns: for its checksum, which stands in front of it so that
 * readers of streams can do with it, and to be sent. Nothing is read that the client doesn't take. */
#pragma once

#include "api/api.h"
#include "format/filename.h"
#include "state/token.h"

#include <stddef.h>

/* Sends these results, 1 to TOKEN_RESULTS_MAX, under that name; all is copied. Ends the call; by `gone` when
 * one of them is not there any more. */
void archive_send(struct api_call *call, const struct token_archive *what, api_handler *gone);

/* Makes `name` one that none of the `n` names has, whatever their case: "a.pdf" becomes "a (2).pdf". */
void archive_name(const char (*names)[FILENAME_MAX_BYTES + 1], size_t n, char name[FILENAME_MAX_BYTES + 1]);
