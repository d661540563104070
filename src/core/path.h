/* Files below a directory descriptor: no path here can leave it (openat2 RESOLVE_BENEATH) or follow a
 * symbolic link, but for path_read_file. Names come from ids that we made, never from a user; these calls
 * hold even if that slips. */
#pragma once

#include "core/cleanup.h"

#include <dirent.h>
#include <stdint.h>
#include <sys/types.h>

/* openat2(2) below `dirfd` with O_CLOEXEC, RESOLVE_BENEATH and no symlinks: a descriptor or -errno. */
int path_open(int dirfd, const char *path, int flags, mode_t mode) _warn_unused_;

/* A stream of the directory `path` below `dirfd`, for the caller to close: 0 or -errno. */
int path_open_dir(int dirfd, const char *path, DIR **ret) _warn_unused_;

/* Opens directory `path` below `dirfd`, making each missing component with `mode`: a descriptor or -errno. */
int path_make_dir(int dirfd, const char *path, mode_t mode) _warn_unused_;

/* Removes `name` (one component) below `dirfd` with all that is in it; a missing one is fine. 0 or the first
 * -errno, after having removed what could be removed. Never follows links. However deep the tree is, it takes
 * a constant number of descriptors. */
int path_remove_tree(int dirfd, const char *name);

/* An unnamed regular file in `dirfd` for writing, or -errno. path_link gives it a name. Where the filesystem
 * has no O_TMPFILE, -EOPNOTSUPP. */
int path_tmpfile(int dirfd, mode_t mode) _warn_unused_;

/* Links the open unnamed file `fd` as `name` below `dirfd`; -EEXIST when the name is taken. */
int path_link(int fd, int dirfd, const char *name) _warn_unused_;

/* Sets the permission bits of the open file `fd`. (fchmod(2) is no call that a confined server may make.) */
int path_chmod(int fd, mode_t mode) _warn_unused_;

/* Has a network file system send what was written into the file, by whomever on this machine, and `fd` may be
 * for reading alone: 0, or what it says of that, such as -ENOSPC. Local ones have nothing to do here; for
 * them this is no fsync(2). */
int path_send(int fd) _warn_unused_;

/* Opens the file behind `fd` once more for reading: a description of its own, with the offset 0, that the
 * receiver of a passed descriptor can't write through. A descriptor or -errno. */
int path_reopen(int fd) _warn_unused_;

/* Up to `len` bytes at `offset`, fewer only at the end of the file: their number, or -errno. */
ssize_t path_read(int fd, uint64_t offset, void *data, size_t len) _warn_unused_;

/* Writes all of it at `offset`: 0 or -errno, and then some of it may be there. */
int path_write(int fd, uint64_t offset, const void *data, size_t len) _warn_unused_;

/* Reads a whole regular file of at most `max` bytes into a new NUL-terminated string. `path` may lead
 * anywhere: for names that we chose. -EINVAL when it is no regular file, -EFBIG. */
int path_read_file(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len) _warn_unused_;
