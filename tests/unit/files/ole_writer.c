#include "ole_writer.h"

#include "core/cleanup.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { SECTOR = 512, ENTRY = 128, FAT_SECTOR = 0, DIRECTORY_SECTOR = 1 };

static void put32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static void put16(unsigned char *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof v);
}

static void write_header(unsigned char *h)
{
    memcpy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
    put16(h + 0x18, 0x3e);
    put16(h + 0x1a, 3);
    put16(h + 0x1c, 0xfffe);
    put16(h + 0x1e, 9);
    put16(h + 0x20, 6);
    put32(h + 0x2c, 1);
    put32(h + OLE_DIRECTORY_START, DIRECTORY_SECTOR);
    put32(h + 0x38, 4096);
    put32(h + 0x3c, 0xfffffffe);
    put32(h + 0x44, 0xfffffffe);
    memset(h + 0x4c, 0xff, SECTOR - 0x4c);
    put32(h + 0x4c, FAT_SECTOR);
}

static void write_entry(unsigned char *p, const struct ole_entry *e)
{
    for (size_t i = 0; e->name[i]; i++)
        put16(p + 2 * i, (unsigned char)e->name[i]);
    put16(p + 0x40, (uint16_t)(2 * (strlen(e->name) + 1)));
    p[0x42] = e->type;
    put32(p + 0x44, (uint32_t)e->left);
    put32(p + 0x48, (uint32_t)e->right);
    put32(p + 0x4c, (uint32_t)e->child);
    put32(p + 0x74, 0xfffffffe);
}

int ole_write(const struct ole_entry *entries, size_t n)
{
    size_t sectors = (n * ENTRY + SECTOR - 1) / SECTOR, len = SECTOR * (2 + sectors);
    _cleanup_free_ unsigned char *file = calloc(1, len);
    int fd = memfd_create("ole", MFD_CLOEXEC);

    assert_non_null(file);
    assert_true(fd >= 0 && n <= 400);
    write_header(file);
    memset(file + SECTOR, 0xff, SECTOR);
    put32(file + SECTOR, 0xfffffffd);
    for (size_t i = 0; i < sectors; i++)
        put32(file + SECTOR + 4 * (DIRECTORY_SECTOR + i),
              i + 1 < sectors ? (uint32_t)(DIRECTORY_SECTOR + i + 1) : 0xfffffffe);
    for (size_t i = 0; i < n; i++)
        write_entry(file + 2 * SECTOR + i * ENTRY, &entries[i]);
    assert_int_equal(write(fd, file, len), len);
    return fd;
}

int ole_write_stream(const char *name)
{
    const struct ole_entry entries[] = {{"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 1},
                                        {name, OLE_STREAM, OLE_NONE, OLE_NONE, OLE_NONE}};

    return ole_write(entries, 2);
}
