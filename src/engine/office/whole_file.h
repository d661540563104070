/* Whole files, for the sandboxed child: core/path.h needs openat2(2), which the seccomp policy doesn't have.
 */
#pragma once

#include "core/buf.h"

/* Appends the file's bytes; -EMSGSIZE past the buffer's maximum. */
int whole_file_read(const char *path, struct buf *ret) _warn_unused_;
/* Makes the file, or replaces its content. */
int whole_file_write(const char *path, const char *data, size_t len) _warn_unused_;
