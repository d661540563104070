/* The records of a ZIP archive (PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12–16, 4.5.3) for who writes one
 * in a single pass: sizes and checksums stand in front of the data, as readers of streams want them. ZIP64
 * where a number needs it. No library does that: libzip wants to seek, libarchive puts a stored entry's
 * checksum behind it. */
#pragma once

#include "core/buf.h"

enum { ZIP_STORED = 0, ZIP_DEFLATED = 8 };

struct zip_entry {
    const char *name; /* UTF-8, less than 64 KiB; said to be that when it isn't ASCII */
    uint64_t size, packed;
    uint64_t offset; /* of its local record */
    uint32_t crc;    /* CRC-32 of what is packed */
    uint16_t method;
    int64_t modified; /* seconds since 1970; 0: nobody knows, and it says 1 January 1980 */
};

/* Stands in front of an entry's data. */
void zip_put_local(struct buf *out, const struct zip_entry *e);
/* Its line in the directory, which follows the data of all. */
void zip_put_central(struct buf *out, const struct zip_entry *e);
/* The end, behind a directory of `size` bytes at `offset`. */
void zip_put_end(struct buf *out, uint64_t entries, uint64_t offset, uint64_t size);
