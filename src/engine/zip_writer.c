#include "engine/zip_writer.h"

#include "core/zip.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum {
    ENTRIES_MAX = 65535 - 1,
    DIRECTORY_MAX = 16 * 1024 * 1024,
};

struct zip_writer {
    FILE *file;
    struct buf directory;
    uint64_t offset;
    unsigned entries;
};

int zip_writer_new(const char *path, struct zip_writer **ret)
{
    struct zip_writer *z = calloc(1, sizeof *z);

    if (!z)
        return -ENOMEM;
    z->directory = BUF_INIT(DIRECTORY_MAX);
    z->file = fopen(path, "we");
    if (!z->file) {
        int r = -errno;

        zip_writer_free(z);
        return r;
    }
    *ret = z;
    return 0;
}

void zip_writer_free(struct zip_writer *z)
{
    if (!z)
        return;
    if (z->file)
        fclose(z->file);
    buf_free(&z->directory);
    free(z);
}

static int write_all(struct zip_writer *z, const void *data, size_t len)
{
    if (z->offset + len >= UINT32_MAX)
        return -EFBIG;
    if (fwrite(data, 1, len, z->file) != len)
        return errno ? -errno : -EIO;
    z->offset += len;
    return 0;
}

/* Deflated without zlib's wrapper, into a new block. */
static int compress_raw(const void *data, size_t len, void **ret, size_t *ret_len)
{
    z_stream s = {.next_in = (z_const Bytef *)data, .avail_in = (uInt)len};
    _cleanup_free_ unsigned char *out = NULL;
    int r;

    if (deflateInit2(&s, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    s.avail_out = (uInt)deflateBound(&s, (uLong)len);
    s.next_out = out = malloc(s.avail_out);
    r = out ? deflate(&s, Z_FINISH) : Z_MEM_ERROR;
    *ret_len = s.total_out;
    deflateEnd(&s);
    if (r != Z_STREAM_END)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}

static int write_entry(struct zip_writer *z, const struct zip_entry *e, const void *packed)
{
    _cleanup_buf_ struct buf header = BUF_INIT(1024);
    int r;

    zip_put_local(&header, e);
    zip_put_central(&z->directory, e);
    if (buf_error(&header) || buf_error(&z->directory))
        return -EFBIG;
    r = write_all(z, header.data, header.len);
    return r < 0 ? r : write_all(z, packed, e->packed);
}

int zip_content_make(struct buf *from, bool compress, struct zip_content *ret)
{
    struct zip_content content = {.len = from->len, .size = (uint32_t)from->len, .deflated = compress};
    int r = 0;

    if (from->len >= UINT32_MAX / 2)
        return -EFBIG;
    content.crc = (uint32_t)crc32_z(0, (const Bytef *)from->data, from->len);
    if (compress) {
        r = compress_raw(from->data, from->len, &content.data, &content.len);
        if (r == 0)
            buf_free(from);
    } else {
        content.data = buf_take(from);
        r = content.data ? 0 : -ENOMEM;
    }
    if (r == 0)
        *ret = content;
    return r;
}

void zip_content_free(struct zip_content *content)
{
    free(content->data);
    *content = (struct zip_content){0};
}

int zip_writer_add(struct zip_writer *z, const char *name, const struct zip_content *content)
{
    const struct zip_entry e = {.name = name,
                                .size = content->size,
                                .packed = content->len,
                                .offset = z->offset,
                                .crc = content->crc,
                                .method = content->deflated ? ZIP_DEFLATED : ZIP_STORED};

    if (z->entries >= ENTRIES_MAX)
        return -EFBIG;
    z->entries++;
    return write_entry(z, &e, content->data);
}

int zip_writer_finish(struct zip_writer *z)
{
    int r;

    zip_put_end(&z->directory, z->entries, z->offset, z->directory.len);
    r = buf_error(&z->directory) ? -EFBIG : write_all(z, z->directory.data, z->directory.len);
    if (r == 0 && fflush(z->file) != 0)
        r = -errno;
    return r;
}
