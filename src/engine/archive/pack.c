#include "engine/archive/pack.h"

#include "core/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>

typedef int set_fn(struct archive *a);

static const struct kind {
    const char *id;
    set_fn *format, *filter;
    const char *options; /* libarchive's words */
    const char *level;   /* the module whose compression-level it is; NULL: it has none */
} kinds[] = {
    {"zip", archive_write_set_format_zip, NULL, "zip:compression=deflate,zip:hdrcharset=UTF-8", "zip"},
    {"tar", archive_write_set_format_pax_restricted, NULL, NULL, NULL},
    {"tgz", archive_write_set_format_pax_restricted, archive_write_add_filter_gzip, "gzip:!timestamp",
     "gzip"},
    {"tbz2", archive_write_set_format_pax_restricted, archive_write_add_filter_bzip2, NULL, "bzip2"},
    {"txz", archive_write_set_format_pax_restricted, archive_write_add_filter_xz, NULL, "xz"},
    {"tzst", archive_write_set_format_pax_restricted, archive_write_add_filter_zstd, NULL, "zstd"},
    {"tlz4", archive_write_set_format_pax_restricted, archive_write_add_filter_lz4, NULL, "lz4"},
    {"7z", archive_write_set_format_7zip, NULL, NULL, "7zip"},
    {"cpio", archive_write_set_format_cpio_newc, NULL, NULL, NULL},
    {"gz", archive_write_set_format_raw, archive_write_add_filter_gzip, "gzip:!timestamp", "gzip"},
    {"bz2", archive_write_set_format_raw, archive_write_add_filter_bzip2, NULL, "bzip2"},
    {"xz", archive_write_set_format_raw, archive_write_add_filter_xz, NULL, "xz"},
    {"zst", archive_write_set_format_raw, archive_write_add_filter_zstd, NULL, "zstd"},
    {"lz4", archive_write_set_format_raw, archive_write_add_filter_lz4, NULL, "lz4"},
};

struct pack {
    struct archive *archive;
    struct archive_entry *entry;
};

static const struct kind *find_kind(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(kinds[i].id, id))
            return &kinds[i];
    return NULL;
}

static enum outcome outcome_of(struct archive *a)
{
    int error = archive_errno(a);

    return error == ENOMEM || error == EFBIG || error == ERANGE ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
}

static int set_up(struct archive *a, const struct kind *kind, long level)
{
    char text[64];
    int r = kind->format(a);

    if (r == ARCHIVE_OK)
        r = kind->filter ? kind->filter(a) : archive_write_add_filter_none(a);
    if (r == ARCHIVE_OK && kind->options)
        r = archive_write_set_options(a, kind->options);
    if (r != ARCHIVE_OK || !kind->level)
        return r;
    snprintf(text, sizeof text, "%s:compression-level=%ld", kind->level, level);
    return archive_write_set_options(a, text);
}

enum outcome pack_open(const char *path, const char *format, long level, struct pack **ret)
{
    const struct kind *kind = find_kind(format);
    struct pack *p = kind ? calloc(1, sizeof *p) : NULL;
    enum outcome outcome;

    if (!p)
        return OUTCOME_INTERNAL;
    p->archive = archive_write_new();
    p->entry = archive_entry_new();
    if (p->archive && p->entry && set_up(p->archive, kind, level) == ARCHIVE_OK &&
        archive_write_open_filename(p->archive, path) == ARCHIVE_OK) {
        *ret = p;
        return OUTCOME_OK;
    }
    outcome = p->archive ? outcome_of(p->archive) : OUTCOME_INTERNAL;
    pack_free(p);
    return outcome;
}

enum outcome pack_add(struct pack *p, const struct member *entry)
{
    struct archive_entry *e = archive_entry_clear(p->entry);

    if (!archive_entry_update_pathname_utf8(e, entry->name))
        return OUTCOME_INTERNAL;
    archive_entry_set_filetype(e, entry->folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(e, entry->folder ? 0755 : 0644);
    archive_entry_set_size(e, entry->folder ? 0 : (int64_t)entry->size);
    archive_entry_set_mtime(e, entry->mtime, 0);
    return archive_write_header(p->archive, e) < ARCHIVE_WARN ? outcome_of(p->archive) : OUTCOME_OK;
}

enum outcome pack_write(struct pack *p, const void *data, size_t len)
{
    la_ssize_t n = archive_write_data(p->archive, data, len);

    return n == (la_ssize_t)len ? OUTCOME_OK : outcome_of(p->archive);
}

enum outcome pack_finish(struct pack *p)
{
    return archive_write_close(p->archive) < ARCHIVE_WARN ? outcome_of(p->archive) : OUTCOME_OK;
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    archive_entry_free(p->entry);
    archive_write_free(p->archive);
    free(p);
}
