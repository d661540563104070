/* A ZIP written in one pass (PKWARE APPNOTE 6.3.3, without ZIP64): entry by entry, each complete in memory,
 * so that sizes and checksums stand in front of the data and neither temporary files nor a second copy on
 * disk are needed. libzip keeps all entries until the end and then writes them twice; libarchive puts the
 * checksum of a stored entry behind it, which streaming readers refuse. */
#pragma once

#include "core/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct zip_writer;

/* An entry's content as it stands in the archive: where it is compressed, several threads can do that. */
struct zip_content {
    void *data;
    size_t len;
    uint32_t size, crc; /* of what was given */
    bool deflated;
};

/* A file that is new or written over; or -errno. */
int zip_writer_new(const char *path, struct zip_writer **ret) _warn_unused_;
/* Takes the bytes out of `from`, unless it fails: -EFBIG, -ENOMEM. */
int zip_content_make(struct buf *from, bool compress, struct zip_content *ret) _warn_unused_;
void zip_content_free(struct zip_content *content);
/* 0, -EFBIG when the archive would need ZIP64, other -errno. The name is ASCII. */
int zip_writer_add(struct zip_writer *z, const char *name, const struct zip_content *content) _warn_unused_;
/* Writes the directory. The archive is whole only after 0. */
int zip_writer_finish(struct zip_writer *z) _warn_unused_;
void zip_writer_free(struct zip_writer *z);
