#include "engine/font/sfnt.h"

#include "core/buf.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TAG(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum {
    HEADER_SIZE = 12,
    ENTRY_SIZE = 16,
    COLLECTION_HEADER_SIZE = 16, /* with the offset of the first font */
    WOFF_HEADER_SIZE = 44,
    WOFF_ENTRY_SIZE = 20,
    HEAD_ADJUSTMENT = 8,  /* in the table "head" */
    EOT_HEADER_SIZE = 82, /* with no name in it */
    EOT_FLAGS = 12,
    EOT_MAGIC = 34,
    EOT_COMPRESSED = 0x4,
    EOT_ENCRYPTED = 0x10000000,
    EOT_KEY = 0x50,
    TABLES_MAX = 1024,
};
/* Of EOT, whose numbers have their lowest byte first. */
static const char eot_magic[] = "LP";
/* The whole font adds up to this, by what the adjustment adds. */
#define CHECKSUM UINT32_C(0xb1b0afba)

struct table {
    uint32_t tag, checksum, length;
    uint32_t at; /* in the file */
    char *data;  /* in the file's bytes, or of its own */
    bool own;
};

struct sfnt {
    char *bytes; /* of the file */
    size_t size;
    uint32_t version;
    size_t n;
    struct table tables[TABLES_MAX]; /* by tag, as in each directory */
    struct table *order[TABLES_MAX]; /* as they lay in the file, which some programs have tuned */
};

static uint32_t get32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static uint16_t get16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static void put32(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_append(b, &v, sizeof v);
}

static void put16(struct buf *b, uint32_t v)
{
    uint16_t w = htobe16((uint16_t)v);

    buf_append(b, &w, sizeof w);
}

static uint32_t padded(uint32_t length)
{
    return (length + 3) & ~UINT32_C(3);
}

/* The sum of the words, the last one filled up with zeros. */
static uint32_t add_up(const char *data, size_t len)
{
    uint32_t sum = 0;
    char last[4] = "";

    for (; len >= 4; data += 4, len -= 4)
        sum += get32(data);
    memcpy(last, data, len);
    return sum + get32(last);
}

/* --- reading */

static int read_file(const char *path, char **ret, size_t *ret_size)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_buf_ struct buf bytes = BUF_INIT(SFNT_BYTES_MAX);
    char block[64 << 10];
    size_t n;

    if (!file)
        return -errno;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        if (buf_append(&bytes, block, n) < 0)
            return buf_error(&bytes) == -EMSGSIZE ? -EFBIG : buf_error(&bytes);
    if (ferror(file))
        return -EIO;
    *ret_size = bytes.len;
    *ret = buf_take(&bytes);
    return *ret ? 0 : -EBADMSG;
}

static bool fits(const struct sfnt *s, uint64_t at, uint64_t len)
{
    return at <= s->size && len <= s->size - at;
}

static int inflate_table(const char *packed, uint32_t packed_len, struct table *t)
{
    uLongf len = t->length;
    char *data = malloc(t->length + 1U);

    if (!data)
        return -ENOMEM;
    if (uncompress((Bytef *)data, &len, (const Bytef *)packed, packed_len) != Z_OK || len != t->length) {
        free(data);
        return -EBADMSG;
    }
    t->data = data;
    t->own = true;
    return 0;
}

/* The entry at `p` of a directory, of either kind. */
static int read_table(struct sfnt *s, const char *p, bool woff)
{
    struct table *t = &s->tables[s->n];
    uint32_t packed_len;

    t->tag = get32(p);
    t->checksum = get32(p + (woff ? 16 : 4));
    t->at = get32(p + (woff ? 4 : 8));
    packed_len = get32(p + (woff ? 8 : 12));
    t->length = woff ? get32(p + 12) : packed_len;
    if (!fits(s, t->at, packed_len) || packed_len > t->length)
        return -EBADMSG;
    if (s->n > 0 && t->tag <= s->tables[s->n - 1].tag) /* they are sorted, and none is there twice */
        return -EBADMSG;
    s->n++;
    t->data = s->bytes + t->at;
    return packed_len < t->length ? inflate_table(s->bytes + t->at, packed_len, t) : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct table *x = *(const struct table *const *)a, *y = *(const struct table *const *)b;

    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : (x > y) - (x < y);
}

static int read_tables(struct sfnt *s, uint64_t at, size_t n, bool woff)
{
    const size_t entry = woff ? WOFF_ENTRY_SIZE : ENTRY_SIZE;
    uint64_t total = 0;
    int r = 0;

    if (n == 0 || n > TABLES_MAX || !fits(s, at, n * entry))
        return -EBADMSG;
    /* Before any of them is unpacked. */
    for (size_t i = 0; i < n; i++)
        total += get32(s->bytes + at + i * entry + 12);
    if (total > SFNT_BYTES_MAX)
        return -EFBIG;
    for (size_t i = 0; i < n && r == 0; i++)
        r = read_table(s, s->bytes + at + i * entry, woff);
    for (size_t i = 0; i < s->n; i++)
        s->order[i] = &s->tables[i];
    qsort(s->order, s->n, sizeof *s->order, by_place);
    return r;
}

static bool is_version(uint32_t version)
{
    return version == 0x00010000 || version == TAG('t', 'r', 'u', 'e') || version == TAG('O', 'T', 'T', 'O');
}

static int read_font(struct sfnt *s, uint64_t at)
{
    if (!fits(s, at, HEADER_SIZE))
        return -EBADMSG;
    s->version = get32(s->bytes + at);
    return is_version(s->version) ? read_tables(s, at + HEADER_SIZE, get16(s->bytes + at + 4), false)
                                  : -EBADMSG;
}

static int read_woff(struct sfnt *s)
{
    if (!fits(s, 0, WOFF_HEADER_SIZE))
        return -EBADMSG;
    s->version = get32(s->bytes + 4);
    return is_version(s->version) ? read_tables(s, WOFF_HEADER_SIZE, get16(s->bytes + 12), true) : -EBADMSG;
}

static struct table *find_table(const struct sfnt *s, uint32_t tag)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->tables[i].tag == tag)
            return (struct table *)&s->tables[i];
    return NULL;
}

static int assemble(const struct sfnt *s, struct buf *out);

/* A font that stands alone adds up, as those of a collection need not. */
static int adjust(struct sfnt *s)
{
    _cleanup_buf_ struct buf whole = BUF_INIT(2U * SFNT_BYTES_MAX);
    struct table *head = find_table(s, TAG('h', 'e', 'a', 'd'));
    uint32_t value = 0;
    int r;

    if (!head || head->length < HEAD_ADJUSTMENT + sizeof value)
        return -EBADMSG;
    memcpy(head->data + HEAD_ADJUSTMENT, &value, sizeof value);
    head->checksum = add_up(head->data, head->length);
    r = assemble(s, &whole);
    if (r < 0)
        return r;
    value = htobe32(CHECKSUM - add_up(whole.data, whole.len));
    memcpy(head->data + HEAD_ADJUSTMENT, &value, sizeof value);
    return 0;
}

static int read_collection(struct sfnt *s)
{
    int r;

    if (!fits(s, 0, COLLECTION_HEADER_SIZE) || get32(s->bytes + 8) == 0)
        return -EBADMSG;
    r = read_font(s, get32(s->bytes + HEADER_SIZE));
    return r == 0 ? adjust(s) : r;
}

/* It begins with its size. */
static bool is_eot(const struct sfnt *s)
{
    return fits(s, 0, EOT_HEADER_SIZE) && !is_version(get32(s->bytes)) &&
           memcmp(s->bytes + EOT_MAGIC, eot_magic, 2) == 0;
}

static int read_eot(struct sfnt *s)
{
    uint32_t size, len, flags;

    memcpy(&size, s->bytes, sizeof size);
    memcpy(&len, s->bytes + 4, sizeof len);
    memcpy(&flags, s->bytes + EOT_FLAGS, sizeof flags);
    size = le32toh(size);
    len = le32toh(len);
    flags = le32toh(flags);
    if (size != s->size || len > s->size - EOT_HEADER_SIZE)
        return -EBADMSG;
    if (flags & EOT_COMPRESSED)
        return -EOPNOTSUPP;
    memmove(s->bytes, s->bytes + s->size - len, len);
    s->size = len;
    for (size_t i = 0; flags & EOT_ENCRYPTED && i < len; i++)
        s->bytes[i] = (char)(s->bytes[i] ^ EOT_KEY);
    return read_font(s, 0);
}

int sfnt_load(const char *path, struct sfnt **ret)
{
    struct sfnt *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    r = read_file(path, &s->bytes, &s->size);
    if (r == 0 && !fits(s, 0, 4))
        r = -EBADMSG;
    if (r == 0 && get32(s->bytes) == TAG('w', 'O', 'F', 'F'))
        r = read_woff(s);
    else if (r == 0 && get32(s->bytes) == TAG('t', 't', 'c', 'f'))
        r = read_collection(s);
    else if (r == 0 && is_eot(s))
        r = read_eot(s);
    else if (r == 0)
        r = read_font(s, 0);
    if (r < 0) {
        sfnt_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void sfnt_free(struct sfnt *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        if (s->tables[i].own)
            free(s->tables[i].data);
    free(s->bytes);
    free(s);
}

bool sfnt_is_postscript(const struct sfnt *s)
{
    return s->version == TAG('O', 'T', 'T', 'O');
}

bool sfnt_has_outlines(const struct sfnt *s)
{
    const struct table *outlines =
        find_table(s, sfnt_is_postscript(s) ? TAG('C', 'F', 'F', ' ') : TAG('g', 'l', 'y', 'f'));

    return outlines && outlines->length > 0;
}

/* --- writing */

static void put_table(struct buf *out, const char *data, uint32_t length)
{
    buf_append(out, data, length);
    buf_append(out, "\0\0\0", padded(length) - length);
}

/* Where each table lies, by its place in `tables`, when they follow each other from `at` on. */
static void lay_out(const struct sfnt *s, uint32_t at, uint32_t ret[TABLES_MAX])
{
    for (size_t i = 0; i < s->n; i++) {
        ret[s->order[i] - s->tables] = at;
        at += padded(s->order[i]->length);
    }
}

static int assemble(const struct sfnt *s, struct buf *out)
{
    uint32_t power = 1, log = 0; /* of the number of tables, for who searches the directory by halves */
    uint32_t places[TABLES_MAX] = {0};

    for (; power * 2 <= s->n; power *= 2)
        log++;
    lay_out(s, (uint32_t)(HEADER_SIZE + s->n * ENTRY_SIZE), places);
    put32(out, s->version);
    put16(out, (uint32_t)s->n);
    put16(out, power * ENTRY_SIZE);
    put16(out, log);
    put16(out, (uint32_t)(s->n - power) * ENTRY_SIZE);
    for (size_t i = 0; i < s->n; i++) {
        put32(out, s->tables[i].tag);
        put32(out, s->tables[i].checksum);
        put32(out, places[i]);
        put32(out, s->tables[i].length);
    }
    for (size_t i = 0; i < s->n; i++)
        put_table(out, s->order[i]->data, s->order[i]->length);
    return buf_error(out);
}

static int write_file(const struct buf *data, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "we");

    if (!file)
        return -errno;
    if (fwrite(data->data, 1, data->len, file) != data->len || fflush(file) != 0)
        return errno ? -errno : -EIO;
    return 0;
}

int sfnt_write(const struct sfnt *s, const char *path)
{
    _cleanup_buf_ struct buf out = BUF_INIT(2U * SFNT_BYTES_MAX);
    int r = assemble(s, &out);

    return r < 0 ? r : write_file(&out, path);
}

/* Appends the table, compressed where that makes it smaller; how long it is then. */
static int put_packed(struct buf *out, const struct table *t, uint32_t *ret_len)
{
    uLongf len = compressBound(t->length);
    _cleanup_free_ char *packed = malloc(len);

    if (!packed)
        return -ENOMEM;
    if (compress2((Bytef *)packed, &len, (const Bytef *)t->data, t->length, Z_BEST_COMPRESSION) != Z_OK)
        return -ENOMEM;
    *ret_len = len < t->length ? (uint32_t)len : t->length;
    put_table(out, len < t->length ? packed : t->data, *ret_len);
    return buf_error(out);
}

static uint32_t whole_size(const struct sfnt *s)
{
    uint32_t size = (uint32_t)(HEADER_SIZE + s->n * ENTRY_SIZE);

    for (size_t i = 0; i < s->n; i++)
        size += padded(s->tables[i].length);
    return size;
}

/* The tables packed into `out`; where each lies, from `at` on, and how long it is. */
static int pack_tables(const struct sfnt *s, uint32_t at, struct buf *out, uint32_t places[TABLES_MAX],
                       uint32_t lengths[TABLES_MAX])
{
    for (size_t i = 0; i < s->n; i++) {
        size_t which = (size_t)(s->order[i] - s->tables);
        int r;

        places[which] = at + (uint32_t)out->len;
        r = put_packed(out, s->order[i], &lengths[which]);
        if (r < 0)
            return r;
    }
    return 0;
}

int sfnt_write_woff(const struct sfnt *s, const char *path)
{
    _cleanup_buf_ struct buf out = BUF_INIT(2U * SFNT_BYTES_MAX), tables = BUF_INIT(2U * SFNT_BYTES_MAX);
    const uint32_t start = (uint32_t)(WOFF_HEADER_SIZE + s->n * WOFF_ENTRY_SIZE);
    uint32_t places[TABLES_MAX] = {0}, lengths[TABLES_MAX] = {0};
    int r = pack_tables(s, start, &tables, places, lengths);

    if (r < 0)
        return r;
    put32(&out, TAG('w', 'O', 'F', 'F'));
    put32(&out, s->version);
    put32(&out, start + (uint32_t)tables.len);
    put16(&out, (uint32_t)s->n);
    put16(&out, 0);
    put32(&out, whole_size(s));
    for (size_t i = 0; i < 6; i++) /* no version, metadata or private data */
        put32(&out, 0);
    for (size_t i = 0; i < s->n; i++) {
        put32(&out, s->tables[i].tag);
        put32(&out, places[i]);
        put32(&out, lengths[i]);
        put32(&out, s->tables[i].length);
        put32(&out, s->tables[i].checksum);
    }
    buf_append(&out, tables.data, tables.len);
    return buf_error(&out) ? buf_error(&out) : write_file(&out, path);
}
