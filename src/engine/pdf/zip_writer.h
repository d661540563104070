/* A ZIP written in one pass (PKWARE APPNOTE 6.3.3, without ZIP64): entry by entry, each complete in memory,
 * so that sizes and checksums stand in front of the data and neither temporary files nor a second copy on
 * disk are needed. libzip keeps all entries until the end and then writes them twice; libarchive puts the
 * checksum of a stored entry behind it, which streaming readers refuse. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct zip_writer;

/* A new file, or -errno. */
int zip_writer_new(const char *path, struct zip_writer **ret) _warn_unused_;
/* 0, -EFBIG when the archive would need ZIP64, other -errno. The name is ASCII. */
int zip_writer_add(struct zip_writer *z, const char *name, const void *data, size_t len,
                   bool compress) _warn_unused_;
/* Writes the directory. The archive is whole only after 0. */
int zip_writer_finish(struct zip_writer *z) _warn_unused_;
void zip_writer_free(struct zip_writer *z);
