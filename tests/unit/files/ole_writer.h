/* Compound files for tests: a header, one FAT sector and the directory; the streams are empty. Ends the test
 * when it fails. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { OLE_STORAGE = 1, OLE_STREAM = 2, OLE_ROOT = 5, OLE_NONE = -1 };

struct ole_entry {
    const char *name;
    uint8_t type;
    int left, right, child; /* indices; OLE_NONE */
};

/* In an unnamed file. At most 400 entries. */
int ole_write(const struct ole_entry *entries, size_t n);
/* A root with this one stream. */
int ole_write_stream(const char *name);

/* Where things are in such a file: the FAT's number for the directory's first sector, and the header's for
 * the directory's start. */
enum { OLE_FAT_OF_DIRECTORY = 512 + 4, OLE_DIRECTORY_START = 0x30 };
