/* An archive that is written in one pass: files and folders with plain modes (0644, 0755), no owners, and the
 * names as they are given (names.h makes them safe). */
#pragma once

#include "core/cleanup.h"
#include "core/outcome.h"
#include "engine/archive/entries.h"

struct pack;

/* `format` is the id of one of ours, `level` how hard to pack; a file that is new or written over. How this
 * ends otherwise than OK: too_complex for what is too large or needs too much memory, internal. */
enum outcome pack_open(const char *path, const char *format, long level, struct pack **ret) _warn_unused_;
/* The next file or folder; then its content, all `size` bytes of it. */
enum outcome pack_add(struct pack *p, const struct member *entry) _warn_unused_;
enum outcome pack_write(struct pack *p, const void *data, size_t len) _warn_unused_;
/* The archive is whole only after OK. */
enum outcome pack_finish(struct pack *p) _warn_unused_;
void pack_free(struct pack *p); /* NULL is fine */
