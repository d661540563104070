/* The directory of a ZIP archive (APPNOTE.TXT 6.3.10, sections 4.3.6–4.4), read only as far as it takes to
 * say whether this is an archive that an engine may see, and to look into one small member.
 *
 * A reader of our own, because the archive's author chooses what the directory costs: 100 MiB hold two
 * million entries, and libzip builds every one of them, of every candidate directory, before anyone can
 * count. */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>

/* Limits of an archive; OOXML and ODF documents stay far below. */
enum { ZIPDIR_ENTRIES_MAX = 10000, ZIPDIR_DIRECTORY_MAX = 4 << 20 };
#define ZIPDIR_INFLATED_MAX (UINT64_C(4) << 30)

struct zipdir;

/* Reads and checks the directory of the regular file `fd` (borrowed; its offset stays): 0; -EBADMSG when it
 * is no archive or is cut off; -EMEDIUMTYPE when it breaks a limit or holds names that are absolute, have
 * ".." or a NUL or occur twice, symbolic links, or members that overlap. */
int zipdir_open(int fd, struct zipdir **ret) _warn_unused_;
void zipdir_close(struct zipdir *z);

/* The content of member `name` (ASCII case-insensitive, as OPC part names are: ISO/IEC 29500-2 section 6.2.2)
 * as a new NUL-terminated string. -ENOENT; -EFBIG when more than `max` bytes; -EBADMSG. */
int zipdir_read(struct zipdir *z, const char *name, size_t max, char **ret_data,
                size_t *ret_len) _warn_unused_;
