/* A format is read as what it is said to be, by one of libarchive's readers: left to itself libarchive would
 * try all that it has, among them some that execute programs, and unpack what is packed twice.
 *
 * Two things need a second look into the archive, by a second reader that is sent to an entry by its place: a
 * link to a file, whose content is elsewhere, and a size that nobody tells ahead, which the headers of tar
 * and cpio need. Both cost time alone, and are bounded by the same limits. */
#include "engine/archive/entries.h"

#include "core/str.h"
#include "engine/archive/names.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BLOCK = 64 << 10, LINKS_MAX = 1000 };

typedef int support_fn(struct archive *a);

static const struct kind {
    const char *id;
    support_fn *format;
    int filter; /* ARCHIVE_FILTER_…, what is around it; -1: as `filters` find out */
    bool one;   /* a single file */
} kinds[] = {
    {"zip", archive_read_support_format_zip_seekable, ARCHIVE_FILTER_NONE, false},
    {"jar", archive_read_support_format_zip_seekable, ARCHIVE_FILTER_NONE, false},
    {"apk", archive_read_support_format_zip_seekable, ARCHIVE_FILTER_NONE, false},
    {"xpi", archive_read_support_format_zip_seekable, ARCHIVE_FILTER_NONE, false},
    {"vsix", archive_read_support_format_zip_seekable, ARCHIVE_FILTER_NONE, false},
    {"tar", archive_read_support_format_tar, ARCHIVE_FILTER_NONE, false},
    {"tgz", archive_read_support_format_tar, ARCHIVE_FILTER_GZIP, false},
    {"tbz2", archive_read_support_format_tar, ARCHIVE_FILTER_BZIP2, false},
    {"txz", archive_read_support_format_tar, ARCHIVE_FILTER_XZ, false},
    {"tzst", archive_read_support_format_tar, ARCHIVE_FILTER_ZSTD, false},
    {"tlz4", archive_read_support_format_tar, ARCHIVE_FILTER_LZ4, false},
    {"tlz", archive_read_support_format_tar, ARCHIVE_FILTER_LZIP, false},
    {"gz", archive_read_support_format_raw, ARCHIVE_FILTER_GZIP, true},
    {"bz2", archive_read_support_format_raw, ARCHIVE_FILTER_BZIP2, true},
    {"xz", archive_read_support_format_raw, ARCHIVE_FILTER_XZ, true},
    {"zst", archive_read_support_format_raw, ARCHIVE_FILTER_ZSTD, true},
    {"lz4", archive_read_support_format_raw, ARCHIVE_FILTER_LZ4, true},
    {"lz", archive_read_support_format_raw, ARCHIVE_FILTER_LZIP, true},
    {"7z", archive_read_support_format_7zip, ARCHIVE_FILTER_NONE, false},
    {"cab", archive_read_support_format_cab, ARCHIVE_FILTER_NONE, false},
    {"iso", archive_read_support_format_iso9660, ARCHIVE_FILTER_NONE, false},
    {"cpio", archive_read_support_format_cpio, ARCHIVE_FILTER_NONE, false},
    {"ar", archive_read_support_format_ar, ARCHIVE_FILTER_NONE, false},
    {"deb", archive_read_support_format_ar, ARCHIVE_FILTER_NONE, false},
    {"xar", archive_read_support_format_xar, ARCHIVE_FILTER_NONE, false},
    {"lzh", archive_read_support_format_lha, ARCHIVE_FILTER_NONE, false},
    {"warc", archive_read_support_format_warc, ARCHIVE_FILTER_NONE, false},
    {"rar", archive_read_support_format_rar, ARCHIVE_FILTER_NONE, false}, /* … or the newer one */
    {"rpm", archive_read_support_format_cpio, ARCHIVE_FILTER_RPM, false}, /* … around another one */
};

/* Where a file is that a link may name. */
struct place {
    uint64_t ordinal;
    char name[];
};

struct entries {
    const struct entries_source *source;
    const struct kind *kind;
    struct archive *archive, *second; /* second: at the file whose content is wanted, or NULL */
    struct archive_entry *now;
    struct names *names;
    void *places; /* a tree of them (tsearch) */
    uint64_t ordinal, links, bytes, bytes_max, file_size;
    /* Of the file that is read: what is still to come, and the block that the reader has given. */
    uint64_t left;
    const char *block;
    size_t block_len;
    int64_t block_at;
    bool ended, sparse;
    struct member member;
    char name[NAME_MAX_BYTES + 1];
};

static const struct kind *find_kind(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(kinds[i].id, id))
            return &kinds[i];
    return NULL;
}

bool entries_are_one(const char *format)
{
    const struct kind *kind = find_kind(format);

    return kind && kind->one;
}

/* --- readers */

static int support(struct archive *a, const struct kind *kind)
{
    int r = kind->format(a);

    if (r == ARCHIVE_OK && kind->format == archive_read_support_format_rar)
        r = archive_read_support_format_rar5(a);
    if (r != ARCHIVE_OK || kind->filter == ARCHIVE_FILTER_NONE)
        return r;
    if (kind->filter != ARCHIVE_FILTER_RPM)
        return archive_read_append_filter(a, kind->filter);
    return archive_read_support_filter_rpm(a) == ARCHIVE_OK &&
                   archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
                   archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
                   archive_read_support_filter_xz(a) == ARCHIVE_OK &&
                   archive_read_support_filter_lzma(a) == ARCHIVE_OK &&
                   archive_read_support_filter_zstd(a) == ARCHIVE_OK
               ? ARCHIVE_OK
               : ARCHIVE_FATAL;
}

static struct archive *open_reader(const struct entries_source *source, const struct kind *kind,
                                   enum outcome *ret)
{
    struct archive *a = archive_read_new();

    *ret = OUTCOME_INTERNAL;
    if (!a || support(a, kind) != ARCHIVE_OK ||
        (source->password && archive_read_add_passphrase(a, source->password) != ARCHIVE_OK)) {
        archive_read_free(a);
        return NULL;
    }
    if (archive_read_open_filename(a, source->path, BLOCK) == ARCHIVE_OK)
        return a;
    *ret = archive_errno(a) == ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_CORRUPT_INPUT;
    archive_read_free(a);
    return NULL;
}

/* What libarchive's error on `a` means. It has no code for a password. */
static enum outcome outcome_of(const struct entries *e, struct archive *a)
{
    const char *why = archive_error_string(a);

    if (archive_errno(a) == ENOMEM)
        return OUTCOME_TOO_COMPLEX;
    if ((e->now && archive_entry_is_encrypted(e->now)) || archive_read_has_encrypted_entries(a) > 0 ||
        (why && strcasestr(why, "encrypt")))
        return OUTCOME_PASSWORD_REQUIRED;
    return OUTCOME_CORRUPT_INPUT;
}

enum outcome entries_open(const struct entries_source *source, struct entries **ret)
{
    struct entries *e = calloc(1, sizeof *e);
    enum outcome outcome = OUTCOME_INTERNAL;
    struct stat st = {0};
    uint64_t most;

    if (!e)
        return OUTCOME_INTERNAL;
    e->source = source;
    e->kind = find_kind(source->format);
    if (e->kind && names_new(&e->names) == 0 && stat(source->path, &st) == 0)
        e->archive = open_reader(source, e->kind, &outcome);
    if (!e->archive) {
        entries_close(e);
        return outcome;
    }
    e->file_size = (uint64_t)st.st_size;
    most = e->file_size * ENTRIES_RATIO_MAX;
    e->bytes_max = most < ENTRIES_RATIO_FROM ? ENTRIES_RATIO_FROM : most;
    if (e->bytes_max > source->bytes_max)
        e->bytes_max = source->bytes_max;
    *ret = e;
    return OUTCOME_OK;
}

void entries_close(struct entries *e)
{
    if (!e)
        return;
    archive_read_free(e->second);
    archive_read_free(e->archive);
    names_free(e->names);
    tdestroy(e->places, free);
    free(e);
}

unsigned entries_progress(const struct entries *e)
{
    int64_t at = archive_filter_bytes(e->archive, -1);

    return e->file_size == 0 || at < 0 ? 0 : (unsigned)((uint64_t)at * 100 / e->file_size);
}

/* --- the second reader */

/* Sends it to the entry that the first one met as its `ordinal`th. */
static enum outcome look_again(struct entries *e, uint64_t ordinal, struct archive_entry **ret)
{
    enum outcome outcome;

    archive_read_free(e->second);
    e->second = open_reader(e->source, e->kind, &outcome);
    if (!e->second)
        return outcome;
    for (uint64_t i = 0; i < ordinal; i++)
        if (archive_read_next_header(e->second, ret) < ARCHIVE_WARN)
            return outcome_of(e, e->second);
    return OUTCOME_OK;
}

/* How much is in the file that the second reader is at, which it is past then. */
static enum outcome measure(struct entries *e, uint64_t *ret)
{
    const void *data;
    size_t len;
    int64_t at;
    int r;

    *ret = 0;
    while ((r = archive_read_data_block(e->second, &data, &len, &at)) == ARCHIVE_OK) {
        *ret = (uint64_t)at + len;
        if (*ret > e->bytes_max - e->bytes)
            return OUTCOME_TOO_COMPLEX;
    }
    return r == ARCHIVE_EOF ? OUTCOME_OK : outcome_of(e, e->second);
}

/* What the headers of the file that `entry` is tell of its size; 0 or -ENODATA. */
static int told_size(struct archive_entry *entry, uint64_t *ret)
{
    int64_t size = archive_entry_size(entry);

    if (!archive_entry_size_is_set(entry) || size < 0)
        return -ENODATA;
    *ret = (uint64_t)size;
    return 0;
}

/* The size of the file at that place, to which the second reader is sent where `again` says so. */
static enum outcome find_size(struct entries *e, uint64_t ordinal, bool again)
{
    struct archive_entry *entry = e->now;
    enum outcome outcome = OUTCOME_OK;

    if (!again && told_size(entry, &e->member.size) == 0)
        return OUTCOME_OK;
    outcome = look_again(e, ordinal, &entry);
    if (outcome != OUTCOME_OK || told_size(entry, &e->member.size) == 0)
        return outcome;
    outcome = measure(e, &e->member.size);
    if (outcome == OUTCOME_OK && again)
        return look_again(e, ordinal, &entry);
    archive_read_free(TAKE_PTR(e->second));
    return outcome;
}

/* --- links to files */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name);
}

static struct place *make_place(const char *name, uint64_t ordinal)
{
    size_t size = strlen(name) + 1;
    struct place *p = calloc(1, sizeof *p + size);

    if (p) {
        p->ordinal = ordinal;
        memcpy(p->name, name, size);
    }
    return p;
}

/* Of two files of a name the later one is meant, as when they were unpacked. */
static int remember(struct entries *e, const char *name, uint64_t ordinal)
{
    struct place *p = make_place(name, ordinal), **found = p ? tsearch(p, &e->places, by_name) : NULL;

    if (found && *found != p) {
        (*found)->ordinal = ordinal;
        free(p);
    }
    return found ? 0 : -ENOMEM;
}

/* 0: the archive has no such file ahead of the link. */
static uint64_t find_place(const struct entries *e, const char *name)
{
    struct place *key = make_place(name, 0), **found = key ? tfind(key, &e->places, by_name) : NULL;

    free(key);
    return found ? (*found)->ordinal : 0;
}

static bool has_data(struct archive_entry *entry)
{
    return archive_entry_size_is_set(entry) && archive_entry_size(entry) > 0;
}

/* Of the names of one file cpio gives the content to the last. Where that is, if it is there; the second
 * reader looks. */
static enum outcome find_last_name(struct entries *e, uint64_t *ret)
{
    const char *first = archive_entry_pathname(e->now);
    struct archive_entry *entry = NULL;
    enum outcome outcome = look_again(e, e->ordinal, &entry);

    for (uint64_t i = e->ordinal + 1; outcome == OUTCOME_OK && i <= ENTRIES_MAX; i++) {
        int r = archive_read_next_header(e->second, &entry);

        if (r == ARCHIVE_EOF)
            break;
        if (r < ARCHIVE_WARN)
            outcome = outcome_of(e, e->second);
        else if (has_data(entry) && str_eq(archive_entry_hardlink(entry), first)) {
            *ret = i;
            break;
        }
    }
    archive_read_free(TAKE_PTR(e->second));
    return outcome;
}

/* The place of what is in the file that the reader is at. */
static enum outcome find_content(struct entries *e, uint64_t *ret)
{
    const char *link = archive_entry_hardlink(e->now);
    bool is_last = link && has_data(e->now);
    bool is_first = !link && archive_entry_nlink(e->now) > 1 && archive_entry_size_is_set(e->now) &&
                    archive_entry_size(e->now) == 0;
    enum outcome outcome = OUTCOME_OK;

    *ret = link && !is_last ? find_place(e, link) : e->ordinal;
    if ((link || is_first) && ++e->links > LINKS_MAX)
        return OUTCOME_TOO_COMPLEX;
    if (is_first)
        outcome = find_last_name(e, ret);
    if (outcome == OUTCOME_OK && !link && remember(e, archive_entry_pathname(e->now), *ret) < 0)
        return OUTCOME_TOO_COMPLEX;
    return outcome;
}

/* --- one after the other */

static enum outcome prepare_file(struct entries *e)
{
    uint64_t ordinal = 0;
    enum outcome outcome = find_content(e, &ordinal);

    if (outcome == OUTCOME_OK)
        outcome = find_size(e, ordinal, ordinal != e->ordinal);
    if (outcome != OUTCOME_OK)
        return outcome;
    e->block_len = 0;
    e->ended = false;
    e->left = e->member.size;
    return e->left > e->bytes_max - e->bytes ? OUTCOME_TOO_COMPLEX : OUTCOME_OK;
}

/* Is it a file, a folder, or a link to a file that is in the archive? */
static bool is_content(const struct entries *e)
{
    const char *link = archive_entry_hardlink(e->now), *raw = archive_entry_pathname(e->now);
    unsigned type = archive_entry_filetype(e->now);

    if (!raw)
        return false;
    if (link)
        return find_place(e, link) > 0;
    return type == AE_IFREG || type == AE_IFDIR || type == 0; /* ar knows no types */
}

/* The one that the reader is at: true when there is something to hand on. */
static bool take(struct entries *e, enum outcome *ret)
{
    bool folder = !archive_entry_hardlink(e->now) && archive_entry_filetype(e->now) == AE_IFDIR;
    int r;

    *ret = OUTCOME_OK;
    if (!is_content(e))
        return false;
    r = names_make(e->names, archive_entry_pathname(e->now), folder, e->name);
    if (r == -ENOMEM)
        *ret = OUTCOME_TOO_COMPLEX;
    if (r < 0)
        return false;
    e->sparse = archive_entry_sparse_count(e->now) > 0;
    e->left = 0;
    e->member = (struct member){.name = e->name,
                                .folder = folder,
                                .mtime = archive_entry_mtime(e->now) > 0 ? archive_entry_mtime(e->now) : 0};
    if (!folder)
        *ret = prepare_file(e);
    return *ret == OUTCOME_OK;
}

enum outcome entries_next(struct entries *e, const struct member **ret)
{
    enum outcome outcome = OUTCOME_OK;

    archive_read_free(TAKE_PTR(e->second));
    *ret = NULL;
    while (outcome == OUTCOME_OK && !*ret) {
        int r;

        e->now = NULL;
        r = archive_read_next_header(e->archive, &e->now);
        if (r == ARCHIVE_EOF)
            return OUTCOME_OK;
        if (r < ARCHIVE_WARN)
            return outcome_of(e, e->archive);
        if (++e->ordinal > ENTRIES_MAX)
            return OUTCOME_TOO_COMPLEX;
        if (take(e, &outcome))
            *ret = &e->member;
    }
    return outcome;
}

/* The next block, which some readers of libarchive give once more when they are asked behind the end. */
static enum outcome next_block(struct entries *e)
{
    struct archive *a = e->second ? e->second : e->archive;
    const void *data;
    int r;

    if (e->ended)
        return OUTCOME_OK;
    r = archive_read_data_block(a, &data, &e->block_len, &e->block_at);
    if (r < ARCHIVE_OK)
        return outcome_of(e, a);
    e->ended = r == ARCHIVE_EOF;
    if (e->ended)
        e->block_len = 0;
    e->block = data;
    return OUTCOME_OK;
}

static size_t least(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

enum outcome entries_read(struct entries *e, void *data, size_t size, size_t *ret_len)
{
    uint64_t at = e->member.size - e->left;
    enum outcome outcome = OUTCOME_OK;

    *ret_len = 0;
    while (outcome == OUTCOME_OK && e->block_len == 0 && !e->ended)
        outcome = next_block(e);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (e->block_len > 0 ? (uint64_t)e->block_at < at || e->block_len > e->left : e->left > 0 && !e->sparse)
        return OUTCOME_CORRUPT_INPUT;
    if (e->block_len > 0 && (uint64_t)e->block_at == at) {
        *ret_len = least(size, e->block_len);
        memcpy(data, e->block, *ret_len);
        e->block += *ret_len;
        e->block_len -= *ret_len;
        e->block_at += (int64_t)*ret_len;
    } else { /* a hole */
        *ret_len = least(size, e->block_len > 0 ? least((uint64_t)e->block_at - at, e->left) : e->left);
        memset(data, 0, *ret_len);
    }
    e->left -= *ret_len;
    e->bytes += *ret_len;
    return OUTCOME_OK;
}
