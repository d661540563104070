#include "zip_writer.h"

#include "core/buf.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include <cmocka.h>

enum { ARCHIVE_MAX = 64 << 20 };

struct zip_writer {
    struct buf members, directory;
    size_t last; /* where the last entry begins in `directory` */
    unsigned n;
    int claimed; /* -1: the truth */
    bool zip64;
};

struct zip_writer *zip_writer_new(void)
{
    struct zip_writer *z = malloc(sizeof *z);

    assert_non_null(z);
    *z = (struct zip_writer){
        .members = BUF_INIT(ARCHIVE_MAX), .directory = BUF_INIT(ARCHIVE_MAX), .claimed = -1};
    return z;
}

static void put(struct buf *b, uint64_t value, size_t bytes)
{
    value = htole64(value);
    buf_append(b, &value, bytes);
}

static void add(struct zip_writer *z, const char *name, size_t name_len, const void *data, size_t len,
                const void *packed, size_t packed_len, unsigned method)
{
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)len);
    size_t offset = z->members.len;

    put(&z->members, 0x04034b50, 4);
    put(&z->members, 20, 2);
    put(&z->members, 0, 2);
    put(&z->members, method, 2);
    put(&z->members, 0, 4);
    put(&z->members, crc, 4);
    put(&z->members, packed_len, 4);
    put(&z->members, len, 4);
    put(&z->members, name_len, 2);
    put(&z->members, 0, 2);
    buf_append(&z->members, name, name_len);
    buf_append(&z->members, packed, packed_len);

    z->last = z->directory.len;
    put(&z->directory, 0x02014b50, 4);
    put(&z->directory, 0x0314, 2); /* made by Unix */
    put(&z->directory, 20, 2);
    put(&z->directory, 0, 2);
    put(&z->directory, method, 2);
    put(&z->directory, 0, 4);
    put(&z->directory, crc, 4);
    put(&z->directory, packed_len, 4);
    put(&z->directory, len, 4);
    put(&z->directory, name_len, 2);
    put(&z->directory, 0, 8);
    put(&z->directory, 0x81a40000, 4); /* -rw-r--r-- */
    put(&z->directory, offset, 4);
    buf_append(&z->directory, name, name_len);
    z->n++;
}

void zip_writer_add_named(struct zip_writer *z, const char *name, size_t name_len, const void *data,
                          size_t len)
{
    add(z, name, name_len, data, len, data, len, 0);
}

void zip_writer_add(struct zip_writer *z, const char *name, const void *data, size_t len)
{
    zip_writer_add_named(z, name, strlen(name), data, len);
}

void zip_writer_add_deflated(struct zip_writer *z, const char *name, const void *data, size_t len)
{
    z_stream s = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
    _cleanup_free_ unsigned char *packed = NULL;
    uLong bound;

    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    bound = deflateBound(&s, len);
    packed = malloc(bound);
    assert_non_null(packed);
    s.next_out = packed;
    s.avail_out = (uInt)bound;
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    add(z, name, strlen(name), data, len, packed, s.total_out, 8);
    deflateEnd(&s);
}

void zip_writer_add_ooxml(struct zip_writer *z, const char *content_type)
{
    static const char rels[] = "<Relationships><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats."
                               "org/officeDocument/2006/relationships/officeDocument\" Target=\"main.xml\"/>"
                               "</Relationships>";
    char xml[512];

    snprintf(xml, sizeof xml,
             "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/"
             "content-types\"><Override PartName=\"/main.xml\" ContentType=\"%s\"/></Types>",
             content_type);
    zip_writer_add_deflated(z, "[Content_Types].xml", xml, strlen(xml));
    zip_writer_add_deflated(z, "_rels/.rels", rels, strlen(rels));
    zip_writer_add(z, "main.xml", "<main/>", 7);
}

unsigned char *zip_writer_entry(struct zip_writer *z)
{
    return (unsigned char *)z->directory.data + z->last;
}

void zip_writer_extra(struct zip_writer *z, uint16_t id, const void *data, uint16_t len)
{
    unsigned char *entry = zip_writer_entry(z);
    uint16_t extra_len;

    memcpy(&extra_len, entry + 30, sizeof extra_len);
    extra_len = htole16((uint16_t)(le16toh(extra_len) + 4 + len));
    memcpy(entry + 30, &extra_len, sizeof extra_len);
    put(&z->directory, id, 2);
    put(&z->directory, len, 2);
    buf_append(&z->directory, data, len);
}

void zip_writer_claim(struct zip_writer *z, uint16_t entries)
{
    z->claimed = entries;
}

void zip_writer_zip64(struct zip_writer *z)
{
    z->zip64 = true;
}

static void put_end64(struct zip_writer *z, struct buf *all, size_t directory_offset)
{
    size_t at = all->len;

    put(all, 0x06064b50, 4);
    put(all, 44, 8);
    put(all, 45, 2);
    put(all, 45, 2);
    put(all, 0, 8);
    put(all, z->n, 8);
    put(all, z->n, 8);
    put(all, z->directory.len, 8);
    put(all, directory_offset, 8);
    put(all, 0x07064b50, 4);
    put(all, 0, 4);
    put(all, at, 8);
    put(all, 1, 4);
}

int zip_writer_finish(struct zip_writer *z)
{
    struct buf *all = &z->members;
    size_t offset = all->len;
    unsigned n = z->claimed >= 0 ? (unsigned)z->claimed : z->n;
    int fd = memfd_create("zip", MFD_CLOEXEC);

    assert_true(fd >= 0);
    buf_append(all, z->directory.data, z->directory.len);
    if (z->zip64)
        put_end64(z, all, offset);
    put(all, 0x06054b50, 4);
    put(all, 0, 4);
    put(all, z->zip64 ? UINT16_MAX : n, 2);
    put(all, z->zip64 ? UINT16_MAX : n, 2);
    put(all, z->zip64 ? UINT32_MAX : z->directory.len, 4);
    put(all, z->zip64 ? UINT32_MAX : offset, 4);
    put(all, 0, 2);
    assert_int_equal(buf_error(all), 0);
    assert_int_equal(write(fd, all->data, all->len), all->len);
    buf_free(&z->members);
    buf_free(&z->directory);
    free(z);
    return fd;
}
