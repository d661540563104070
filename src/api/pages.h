/* The web page: the files of one folder, read at the start. From then on they are a table of paths in memory,
 * and nothing that a request says becomes a path of the file system. */
#pragma once

#include "api/kept.h"

enum { PAGES_FILES_MAX = 500, PAGES_BYTES_MAX = 16 * 1024 * 1024 };

struct pages;

/* Reads index.html, which is served as "/" (docs/index.html as "/docs" and "/docs/"), and whatever lies
 * beside and below it with an extension that a page may have. `x.br` and `x.gz` are forms of `x`; without the
 * latter we compress. What begins with a dot, or has other characters in its name than addresses have without
 * escapes, is passed over, and so are links.
 *
 * -ENOENT, -ENOTDIR or -EACCES: there is no such folder (or no index.html in it) that we can open; -EMFILE
 * more than PAGES_FILES_MAX files, -EFBIG more than PAGES_BYTES_MAX bytes; or another -errno of reading. */
int pages_load(const char *folder, struct pages **ret) _warn_unused_;
void pages_free(struct pages *p); /* NULL is fine */

size_t pages_count(const struct pages *p);
/* The i-th path, as a request names it. */
const char *pages_path(const struct pages *p, size_t i);
/* NULL: there is none. */
const struct kept *pages_find(const struct pages *p, const char *path);

/* Where the page lies when nobody says otherwise, beside this program: SETTINGS_WEB_BESIDE. 0 or -errno. */
int pages_default_folder(char *ret, size_t size) _warn_unused_;
