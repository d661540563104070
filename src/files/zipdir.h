/* The directory of a ZIP archive (APPNOTE.TXT 6.3.10, sections 4.3.6–4.4), read only as far as it takes to
 * say whether this is an archive that an engine may see, and to look into one small member.
 *
 * A reader of our own, because the archive's author chooses what the directory costs: 100 MiB hold two
 * million entries, and libzip builds every one of them, of every candidate directory, before anyone can
 * count. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Limits of an archive; OOXML and ODF documents stay far below. */
enum { ZIPDIR_ENTRIES_MAX = 10000, ZIPDIR_DIRECTORY_MAX = 4 << 20 };
#define ZIPDIR_INFLATED_MAX (UINT64_C(4) << 30)
/* What inflates to more than so many times its size, and is large, is a bomb: deflate reaches 1032, the XML
 * of real documents 100 at the most. Counted for each member and for all together. */
enum { ZIPDIR_RATIO_MAX = 250, ZIPDIR_RATIO_FROM = 32 << 20 };

struct zipdir;

/* Reads and checks the directory of the regular file `fd` (borrowed; its offset stays): 0; -EBADMSG when it
 * is no archive or is cut off; -EMEDIUMTYPE when it breaks a limit or holds names that are absolute, have
 * ".." or a NUL or occur twice (ASCII case-insensitive), symbolic links, members that overlap or members that
 * are called something else where they begin than in the directory, or begins or ends with something else
 * than the archive. */
int zipdir_open(int fd, struct zipdir **ret) _warn_unused_;
void zipdir_close(struct zipdir *z);

/* The content of member `name` (ASCII case-insensitive, as OPC part names are: ISO/IEC 29500-2 section 6.2.2)
 * as a new NUL-terminated string. -ENOENT; -EFBIG when more than `max` bytes; -EBADMSG. */
int zipdir_read(struct zipdir *z, const char *name, size_t max, char **ret_data,
                size_t *ret_len) _warn_unused_;

/* Is there such a member (as in zipdir_read)? Is it the first one in the file? */
bool zipdir_has(const struct zipdir *z, const char *name);
bool zipdir_begins_with(const struct zipdir *z, const char *name);

/* What all members inflate to together, as the directory claims; at most ZIPDIR_INFLATED_MAX. */
uint64_t zipdir_inflated(const struct zipdir *z);

/* How many members there are, and the first bytes of one (`i` below that): up to `size` into `ret`, without a
 * NUL. Returns their number, or -EBADMSG; 0 for a member that is packed in a way we don't know. */
size_t zipdir_count(const struct zipdir *z);
ssize_t zipdir_peek(struct zipdir *z, size_t i, char *ret, size_t size) _warn_unused_;

/* For archives that are taken as such, and made safe by who unpacks them: is `fd` one that begins and ends
 * with the archive, whose directory is where its end says? With a member of that name, unless `member` is
 * NULL. 0, -EBADMSG, -EMEDIUMTYPE, or another -errno. */
int zipdir_check(int fd, const char *member) _warn_unused_;
