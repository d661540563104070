#include "files/ole.h"

#include "core/buf.h"
#include "files/bytes.h"

#include <strings.h>

/* [MS-CFB] 2.2 (header), 2.3 (FAT), 2.5 (DIFAT), 2.6 (directory) */
enum {
    HEADER_SIZE = 512,
    SECTOR_MAX = 4096,
    HEADER_DIFAT = 0x4c, /* the first 109 FAT sectors; further ones are in a chain of DIFAT sectors */
    HEADER_DIFAT_ENTRIES = 109,
    ENTRY_SIZE = 128,
    ENTRY_NAME_MAX = 32, /* UTF-16 units with the NUL */
    TYPE_STREAM = 2,
    TYPE_ROOT = 5,
    DIRECTORY_MAX = 2 << 20,
    DIFAT_HOPS_MAX = 4096,
};
static const uint32_t last_sector = 0xfffffffa; /* what is above is no sector */
static const uint32_t no_entry = 0xffffffff;

struct ole {
    struct buf directory;
    const unsigned char *entries; /* in `directory` */
    size_t n;
};

struct reader {
    int fd;
    unsigned char header[HEADER_SIZE];
    size_t sector_size;
};

static int read_sector(const struct reader *r, uint32_t sector, size_t at, void *data, size_t len)
{
    return bytes_read_all(r->fd, (sector + UINT64_C(1)) * r->sector_size + at, data, len);
}

static int read_u32(const struct reader *r, uint32_t sector, size_t index, uint32_t *ret)
{
    unsigned char bytes[4] = {0};
    int err = read_sector(r, sector, index * 4, bytes, sizeof bytes);

    *ret = bytes_u32(bytes);
    return err;
}

/* The sector that holds the `index`th part of the FAT. */
static int fat_sector(const struct reader *r, size_t index, uint32_t *ret)
{
    size_t per_sector = r->sector_size / 4 - 1; /* the last number leads to the next DIFAT sector */
    uint32_t sector = bytes_u32(r->header + 0x44);

    if (index < HEADER_DIFAT_ENTRIES) {
        *ret = bytes_u32(r->header + HEADER_DIFAT + 4 * index);
        return 0;
    }
    index -= HEADER_DIFAT_ENTRIES;
    if (index / per_sector > DIFAT_HOPS_MAX)
        return -EBADMSG;
    for (; index >= per_sector; index -= per_sector) {
        int err = sector > last_sector ? -EBADMSG : read_u32(r, sector, per_sector, &sector);

        if (err < 0)
            return err;
    }
    return sector > last_sector ? -EBADMSG : read_u32(r, sector, index, ret);
}

static int next_sector(const struct reader *r, uint32_t sector, uint32_t *ret)
{
    size_t per_sector = r->sector_size / 4;
    uint32_t fat;
    int err = fat_sector(r, sector / per_sector, &fat);

    if (err < 0)
        return err;
    return fat > last_sector ? -EBADMSG : read_u32(r, fat, sector % per_sector, ret);
}

static int read_header(struct reader *r)
{
    static const unsigned char signature[] = {0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1};
    int err = bytes_read_all(r->fd, 0, r->header, sizeof r->header);
    unsigned shift;

    if (err < 0)
        return err;
    if (memcmp(r->header, signature, sizeof signature) != 0)
        return -EBADMSG;
    shift = bytes_u16(r->header + 0x1e);
    if (shift != 9 && shift != 12)
        return -EBADMSG;
    r->sector_size = (size_t)1 << shift;
    return 0;
}

/* The maximum of the buffer is what ends a chain that runs in a circle. */
static int read_directory(const struct reader *r, struct ole *o)
{
    uint32_t sector = bytes_u32(r->header + 0x30);
    char data[SECTOR_MAX];

    while (sector <= last_sector) {
        int err = read_sector(r, sector, 0, data, r->sector_size);

        if (err == 0)
            err = buf_append(&o->directory, data, r->sector_size);
        if (err == 0)
            err = next_sector(r, sector, &sector);
        if (err < 0)
            return err == -EMSGSIZE ? -EMEDIUMTYPE : err;
    }
    o->entries = (const unsigned char *)o->directory.data;
    o->n = o->directory.len / ENTRY_SIZE;
    return o->n > 0 && o->entries[0x42] == TYPE_ROOT ? 0 : -EBADMSG;
}

int ole_open(int fd, struct ole **ret)
{
    struct reader reader = {.fd = fd};
    struct ole *o;
    int r = read_header(&reader);

    if (r < 0)
        return r;
    o = malloc(sizeof *o);
    if (!o)
        return -ENOMEM;
    *o = (struct ole){.directory = BUF_INIT(DIRECTORY_MAX)};
    r = read_directory(&reader, o);
    if (r < 0) {
        ole_close(o);
        return r;
    }
    *ret = o;
    return 0;
}

void ole_close(struct ole *o)
{
    if (!o)
        return;
    buf_free(&o->directory);
    free(o);
}

static bool is_stream_named(const unsigned char *entry, const char *name)
{
    size_t len = strlen(name);

    if (entry[0x42] != TYPE_STREAM || len >= ENTRY_NAME_MAX || bytes_u16(entry + 0x40) != 2 * (len + 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = (char)entry[2 * i];

        if (entry[2 * i + 1] != 0 || strncasecmp(&c, &name[i], 1) != 0)
            return false;
    }
    return true;
}

/* The root's children are a binary tree; its balance and order are not relied on, and each entry is visited
 * once, so that a tree which runs in a circle ends. */
bool ole_has_stream(const struct ole *o, const char *name)
{
    _cleanup_free_ uint32_t *stack = malloc((o->n + 1) * sizeof *stack);
    _cleanup_free_ bool *seen = calloc(o->n, sizeof *seen);
    size_t depth = 0;
    uint32_t next = bytes_u32(o->entries + 0x4c);

    if (!stack || !seen)
        return false;
    for (;;) {
        const unsigned char *entry;

        if (next != no_entry && next < o->n && !seen[next]) {
            seen[next] = true;
            entry = o->entries + (size_t)next * ENTRY_SIZE;
            if (is_stream_named(entry, name))
                return true;
            stack[depth++] = next;
            next = bytes_u32(entry + 0x44);
        } else if (depth > 0) {
            next = bytes_u32(o->entries + (size_t)stack[--depth] * ENTRY_SIZE + 0x48);
        } else {
            return false;
        }
    }
}
