/* The files and folders of an archive, one after the other, as they may be handed on: names are made safe
 * (names.h), links to files of the archive are the files, and other links, devices and whatever else is no
 * content is left out. What they unpack to is counted while it comes, so that a bomb ends early.
 *
 * Nothing is taken from the archive's word: a size that it tells is asked of the content itself. */
#pragma once

#include "core/cleanup.h"
#include "core/outcome.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Members of all kinds, those that are left out among them: a sources tree of Linux has 90,000. */
enum { ENTRIES_MAX = 100000 };
/* What unpacks to more than so many times the archive's size, and is large, is a bomb: xz reaches 7,000,
 * deflate 1,032, logs of real machines 100. */
enum { ENTRIES_RATIO_MAX = 500, ENTRIES_RATIO_FROM = 64 << 20 };

struct member {
    const char *name; /* without a slash at its end */
    bool folder;
    uint64_t size;
    time_t mtime; /* 0: unknown */
};

struct entries_source {
    const char *path;
    const char *format;   /* the id of one of ours */
    const char *password; /* NULL: none */
    uint64_t bytes_max;   /* all files together */
};

struct entries;

/* How this ends otherwise than OK: corrupt_input, password_required, too_complex for what is over a limit or
 * needs more memory than there is, internal. `source` has to live on. */
enum outcome entries_open(const struct entries_source *source, struct entries **ret) _warn_unused_;
void entries_close(struct entries *e); /* NULL is fine */
/* The next one into `ret`, valid until the next call; NULL at the end. */
enum outcome entries_next(struct entries *e, const struct member **ret) _warn_unused_;
/* The next bytes of the file that entries_next() gave, up to `size`; 0 at its end. */
enum outcome entries_read(struct entries *e, void *data, size_t size, size_t *ret_len) _warn_unused_;
/* How far the reader is in the archive, in percent. */
unsigned entries_progress(const struct entries *e);
/* Is the format a single file that is packed, rather than an archive? */
bool entries_are_one(const char *format);
