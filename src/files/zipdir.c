#include "files/zipdir.h"

#include "core/path.h"
#include "core/str.h"
#include "files/bytes.h"
#include "files/window.h"

#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
    END_SIZE = 22,
    END_COMMENT_MAX = 65535,
    END64_LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
};

struct entry {
    const char *name; /* in the directory, name_len bytes, no NUL */
    uint16_t name_len, method;
    uint64_t packed, inflated, offset; /* offset: of the local header */
};

struct zipdir {
    int fd;
    uint64_t directory_offset;
    char *directory;
    size_t directory_len, n;
    uint64_t inflated;
    struct entry *entries; /* by offset */
};

struct end {
    uint64_t entries, size, offset, at; /* at: where the end record begins */
};

/* Archives whose numbers don't fit, or whose writer never tries (streaming ones), have them in a second
 * record. */
static int read_end64(int fd, struct end *e)
{
    unsigned char locator[END64_LOCATOR_SIZE], record[END64_SIZE];
    uint64_t at;
    int r;

    if (e->at < sizeof locator)
        return -EBADMSG;
    r = bytes_read_all(fd, e->at - sizeof locator, locator, sizeof locator);
    if (r < 0)
        return r;
    at = bytes_u64(locator + 8);
    if (memcmp(locator, "PK\x06\x07", 4) != 0 || at > e->at)
        return -EBADMSG;
    r = bytes_read_all(fd, at, record, sizeof record);
    if (r < 0)
        return r;
    if (memcmp(record, "PK\x06\x06", 4) != 0)
        return -EBADMSG;
    *e = (struct end){.entries = bytes_u64(record + 32),
                      .size = bytes_u64(record + 40),
                      .offset = bytes_u64(record + 48),
                      .at = at};
    return 0;
}

/* The last end record whose comment ends with the file, but for zeros that some disk has added: what else
 * lies behind it would be for other readers. */
static int find_end(int fd, uint64_t size, struct end *ret)
{
    size_t len = size < END_SIZE + END_COMMENT_MAX ? (size_t)size : END_SIZE + END_COMMENT_MAX;
    _cleanup_free_ unsigned char *tail = malloc(len + 1);
    size_t used = len;
    int r;

    if (!tail)
        return -ENOMEM;
    if (size < END_SIZE)
        return -EBADMSG;
    r = bytes_read_all(fd, size - len, tail, len);
    if (r < 0)
        return r;
    while (used > 0 && tail[used - 1] == 0)
        used--;
    for (size_t i = len - END_SIZE + 1; i-- > 0;) {
        const unsigned char *p = tail + i;
        size_t end = i + END_SIZE + bytes_u16(p + 20);

        if (memcmp(p, "PK\x05\x06", 4) != 0 || end > len || end < used)
            continue;
        *ret = (struct end){.entries = bytes_u16(p + 10),
                            .size = bytes_u32(p + 12),
                            .offset = bytes_u32(p + 16),
                            .at = size - len + i};
        if (ret->entries == UINT16_MAX || ret->size == UINT32_MAX || ret->offset == UINT32_MAX)
            return read_end64(fd, ret);
        return 0;
    }
    return -EBADMSG;
}

/* Sizes and offset from the extra field 1, which holds just those that are all ones in the entry (4.5.3). */
static int apply_zip64(struct entry *e, const unsigned char *extra, size_t len)
{
    uint64_t *const values[] = {&e->inflated, &e->packed, &e->offset};

    for (size_t size; len >= 4; extra += size, len -= size) {
        const unsigned char *p = extra + 4;

        size = 4 + (size_t)bytes_u16(extra + 2);
        if (size > len)
            return -EBADMSG;
        if (bytes_u16(extra) != 1)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            if (*values[i] != UINT32_MAX)
                continue;
            if (extra + size - p < 8)
                return -EBADMSG;
            *values[i] = bytes_u64(p);
            p += 8;
        }
        return 0;
    }
    return -EBADMSG;
}

/* One entry at `p` of at most `len` bytes: its size, or -errno. */
static int parse_entry(const unsigned char *p, size_t len, struct entry *ret)
{
    size_t name_len, extra_len, size;
    int r = 0;

    if (len < ENTRY_SIZE || memcmp(p, "PK\x01\x02", 4) != 0)
        return -EBADMSG;
    name_len = bytes_u16(p + 28);
    extra_len = bytes_u16(p + 30);
    size = ENTRY_SIZE + name_len + extra_len + bytes_u16(p + 32);
    if (size > len)
        return -EBADMSG;
    *ret = (struct entry){.name = (const char *)p + ENTRY_SIZE,
                          .name_len = (uint16_t)name_len,
                          .method = bytes_u16(p + 10),
                          .packed = bytes_u32(p + 20),
                          .inflated = bytes_u32(p + 24),
                          .offset = bytes_u32(p + 42)};
    if (p[5] == 3 && (bytes_u32(p + 38) >> 16 & S_IFMT) == S_IFLNK) /* made by Unix, whose mode is a link's */
        return -EMEDIUMTYPE;
    if (ret->packed == UINT32_MAX || ret->inflated == UINT32_MAX || ret->offset == UINT32_MAX)
        r = apply_zip64(ret, p + ENTRY_SIZE + name_len, extra_len);
    return r < 0 ? r : (int)size;
}

static bool name_safe(const struct entry *e)
{
    const char *end = e->name + e->name_len;

    if (e->name_len == 0 || *e->name == '/' || memchr(e->name, '\0', e->name_len))
        return false;
    if (e->name_len > 1 && e->name[1] == ':') /* C:… */
        return false;
    for (const char *p = e->name; p < end;) {
        const char *q = p;

        while (q < end && *q != '/' && *q != '\\')
            q++;
        if (q - p == 2 && p[0] == '.' && p[1] == '.')
            return false;
        p = q + 1;
    }
    return *e->name != '\\';
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = strncasecmp(x->name, y->name, n); /* no name has a NUL */

    return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool is_bomb(uint64_t packed, uint64_t inflated)
{
    return inflated > ZIPDIR_RATIO_FROM && inflated / ZIPDIR_RATIO_MAX > packed;
}

/* What a member is called where it begins, for readers that stream, has to be what the directory calls it,
 * for those that seek: else the two would see different documents. */
static int check_local(const struct zipdir *z, const struct entry *e)
{
    char local[LOCAL_SIZE + UINT16_MAX];
    int r = bytes_read_all(z->fd, e->offset, local, LOCAL_SIZE + (size_t)e->name_len);

    if (r < 0)
        return r;
    return memcmp(local, "PK\x03\x04", 4) == 0 && bytes_u16((unsigned char *)local + 26) == e->name_len &&
                   memcmp(local + LOCAL_SIZE, e->name, e->name_len) == 0
               ? 0
               : -EMEDIUMTYPE;
}

/* Leaves the entries in the order of their offsets. */
static int check_entries(struct zipdir *z)
{
    uint64_t inflated = 0, packed = 0;

    for (size_t i = 0; i < z->n; i++)
        if (!name_safe(&z->entries[i]) ||
            __builtin_add_overflow(inflated, z->entries[i].inflated, &inflated) ||
            __builtin_add_overflow(packed, z->entries[i].packed, &packed) || inflated > ZIPDIR_INFLATED_MAX ||
            is_bomb(z->entries[i].packed, z->entries[i].inflated))
            return -EMEDIUMTYPE;
    if (is_bomb(packed, inflated))
        return -EMEDIUMTYPE;
    z->inflated = inflated;
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (by_name(&z->entries[i - 1], &z->entries[i]) == 0)
            return -EMEDIUMTYPE;
    qsort(z->entries, z->n, sizeof *z->entries, by_offset);
    if (z->n > 0 && z->entries[0].offset != 0)
        return -EMEDIUMTYPE;
    for (size_t i = 0; i < z->n; i++) {
        const struct entry *e = &z->entries[i];
        uint64_t next = i + 1 < z->n ? z->entries[i + 1].offset : z->directory_offset, end;

        if (__builtin_add_overflow(e->offset, e->packed, &end) ||
            __builtin_add_overflow(end, LOCAL_SIZE + e->name_len, &end) || end > next)
            return -EMEDIUMTYPE;

        int r = check_local(z, e);

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_directory(struct zipdir *z, const struct end *end)
{
    int r;

    if (end->entries > ZIPDIR_ENTRIES_MAX || end->size > ZIPDIR_DIRECTORY_MAX)
        return -EMEDIUMTYPE;
    if (end->offset > end->at || end->size > end->at - end->offset)
        return -EBADMSG;
    z->directory_offset = end->offset;
    z->directory_len = (size_t)end->size;
    z->directory = malloc(z->directory_len + 1);
    z->entries = calloc((size_t)end->entries + 1, sizeof *z->entries);
    if (!z->directory || !z->entries)
        return -ENOMEM;
    r = bytes_read_all(z->fd, end->offset, z->directory, z->directory_len);
    if (r < 0)
        return r;
    for (size_t at = 0; z->n < end->entries; z->n++) {
        r = parse_entry((const unsigned char *)z->directory + at, z->directory_len - at, &z->entries[z->n]);
        if (r < 0)
            return r;
        at += (size_t)r;
    }
    return check_entries(z);
}

int zipdir_open(int fd, struct zipdir **ret)
{
    struct zipdir *z;
    struct stat st;
    struct end end;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    r = find_end(fd, (uint64_t)st.st_size, &end);
    if (r < 0)
        return r;
    z = malloc(sizeof *z);
    if (!z)
        return -ENOMEM;
    *z = (struct zipdir){.fd = fd};
    r = read_directory(z, &end);
    if (r < 0) {
        zipdir_close(z);
        return r;
    }
    *ret = z;
    return 0;
}

void zipdir_close(struct zipdir *z)
{
    if (!z)
        return;
    free(z->directory);
    free(z->entries);
    free(z);
}

static const struct entry *find(const struct zipdir *z, const char *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (z->entries[i].name_len == strlen(name) &&
            strncasecmp(z->entries[i].name, name, z->entries[i].name_len) == 0)
            return &z->entries[i];
    return NULL;
}

/* Where the content begins is said by the local header alone. */
static int find_content(const struct zipdir *z, const struct entry *e, uint64_t *ret_at)
{
    unsigned char local[LOCAL_SIZE];
    int r = bytes_read_all(z->fd, e->offset, local, sizeof local);

    if (r < 0)
        return r;
    *ret_at = e->offset + LOCAL_SIZE + bytes_u16(local + 26) + bytes_u16(local + 28);
    return 0;
}

/* Inflates `packed` into `out`, which has to be filled exactly. */
static int inflate_all(char *packed, size_t packed_len, char *out, size_t out_len)
{
    z_stream stream = {.next_in = (Bytef *)packed,
                       .avail_in = (uInt)packed_len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)out_len + 1};
    int r;

    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return -ENOMEM;
    r = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return r == Z_STREAM_END && stream.total_out == out_len ? 0 : -EBADMSG;
}

int zipdir_read(struct zipdir *z, const char *name, size_t max, char **ret_data, size_t *ret_len)
{
    const struct entry *e = find(z, name);
    _cleanup_free_ char *packed = NULL, *data = NULL;
    uint64_t at;
    int r;

    if (!e)
        return -ENOENT;
    if (e->inflated > max || e->packed > max)
        return -EFBIG;
    if (e->method != METHOD_DEFLATED && (e->method != METHOD_STORED || e->packed != e->inflated))
        return -EBADMSG;
    r = find_content(z, e, &at);
    if (r < 0)
        return r;
    packed = malloc((size_t)e->packed + 1);
    data = malloc((size_t)e->inflated + 1); /* one more: for the NUL, and to notice what is too long */
    if (!packed || !data)
        return -ENOMEM;
    r = bytes_read_all(z->fd, at, packed, (size_t)e->packed);
    if (r < 0)
        return r;
    if (e->method == METHOD_DEFLATED) {
        r = inflate_all(packed, (size_t)e->packed, data, (size_t)e->inflated);
        if (r < 0)
            return r;
    } else {
        memcpy(data, packed, (size_t)e->inflated);
    }
    data[e->inflated] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_len = (size_t)e->inflated;
    return 0;
}

bool zipdir_has(const struct zipdir *z, const char *name)
{
    return find(z, name);
}

bool zipdir_begins_with(const struct zipdir *z, const char *name)
{
    const struct entry *e = z->entries;

    return z->n > 0 && e->name_len == strlen(name) && memcmp(e->name, name, e->name_len) == 0;
}

uint64_t zipdir_inflated(const struct zipdir *z)
{
    return z->inflated;
}

size_t zipdir_count(const struct zipdir *z)
{
    return z->n;
}

ssize_t zipdir_peek(struct zipdir *z, size_t i, char *ret, size_t size)
{
    const struct entry *e = &z->entries[i];
    char packed[8192];
    z_stream stream = {.next_in = (Bytef *)packed, .next_out = (Bytef *)ret, .avail_out = (uInt)size};
    size_t want = e->packed < sizeof packed ? (size_t)e->packed : sizeof packed;
    uint64_t at;
    ssize_t n;
    int r = find_content(z, e, &at);

    if (r < 0)
        return r;
    if (e->method == METHOD_STORED)
        return path_read(z->fd, at, ret, e->packed < size ? (size_t)e->packed : size);
    if (e->method != METHOD_DEFLATED)
        return 0;
    n = path_read(z->fd, at, packed, want);
    if (n < 0)
        return n;
    stream.avail_in = (uInt)n;
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return -ENOMEM;
    r = inflate(&stream, Z_SYNC_FLUSH);
    inflateEnd(&stream);
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? (ssize_t)stream.total_out : -EBADMSG;
}

/* Entries of the directory as they come, without a list of them: an archive may hold any number. */
static int find_member(int fd, const struct end *end, const char *member)
{
    _cleanup_free_ struct window *w = calloc(1, sizeof *w);
    uint64_t at = end->offset;
    size_t len = strlen(member);
    int r = w ? window_init(w, fd) : -ENOMEM;

    for (uint64_t i = 0; r == 0 && i < end->entries; i++) {
        const unsigned char *p = window_at(w, at, ENTRY_SIZE);
        size_t name_len, size;

        if (!p || memcmp(p, "PK\x01\x02", 4) != 0)
            return -EBADMSG;
        name_len = bytes_u16(p + 28);
        size = ENTRY_SIZE + name_len + bytes_u16(p + 30) + bytes_u16(p + 32);
        if (name_len == len && (p = window_at(w, at, ENTRY_SIZE + len)) &&
            memcmp(p + ENTRY_SIZE, member, len) == 0)
            return 0;
        at += size;
        if (at > end->at)
            return -EBADMSG;
    }
    return r < 0 ? r : -EMEDIUMTYPE;
}

int zipdir_check(int fd, const char *member)
{
    const char *begin;
    char first[4];
    struct stat st;
    struct end end;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < END_SIZE)
        return -EMEDIUMTYPE;
    r = find_end(fd, (uint64_t)st.st_size, &end);
    if (r == 0)
        r = bytes_read_all(fd, 0, first, sizeof first);
    if (r < 0)
        return r;
    begin = end.entries > 0 ? "PK\x03\x04" : end.at > 0 ? "PK\x06\x06" : "PK\x05\x06";
    if (memcmp(first, begin, sizeof first) != 0)
        return -EMEDIUMTYPE;
    if (end.offset > end.at || end.size != end.at - end.offset)
        return -EBADMSG;
    return member ? find_member(fd, &end, member) : 0;
}
