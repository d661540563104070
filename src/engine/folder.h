/* A folder of files on their way between two engines: files named by us, and index.json, which tells their
 * order and what they are called for people:
 *
 *     {"files": [{"file": "0001.pdf", "name": "letters/May.pdf"}, …]}
 *
 * Who reads an index believes nothing of it: it may have been written by a process that was taken over. */
#pragma once

#include "core/cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FOLDER_INDEX "index.json"
enum {
    FOLDER_FILES_MAX = 1000,
    FOLDER_FILE_MAX = 32,  /* bytes of "0001.pdf", with the NUL */
    FOLDER_NAME_MAX = 1024 /* bytes of a name for people, with the NUL */
};

/* The array of files, each an object with a "file" that is one harmless component and a "name" that is
 * folder_name_is_safe(); new. -EBADMSG for anything else, -EMSGSIZE for more files than FOLDER_FILES_MAX. */
int folder_read(int dirfd, json_t **ret_files) _warn_unused_;
/* Writes an index of them, in place of one that is there. */
int folder_write(int dirfd, const json_t *files) _warn_unused_;
/* Adds {"file": …, "name": …} to such an array. */
int folder_add(json_t *files, const char *file, const char *name) _warn_unused_;
/* Opens one of them, a single component, by openat(2), which engines may make; follows no link. A descriptor
 * or -errno. */
int folder_open_file(int dirfd, const char *file, int flags) _warn_unused_;
/* "0001.pdf"; "0001" when `ext` is NULL. `n` counts from 1. */
void folder_file_name(size_t n, const char *ext, char ret[FOLDER_FILE_MAX]);

/* A relative path that stays where it is unpacked, on any system: UTF-8, components separated by "/", none of
 * them empty, "." or "..", no backslashes, colons, control characters. */
bool folder_name_is_safe(const char *name);
/* Makes one of any text (bytes that aren't UTF-8 become "_"); "" when nothing of it is left. What is too long
 * loses its beginning. */
void folder_make_name(const char *text, char ret[FOLDER_NAME_MAX]);
