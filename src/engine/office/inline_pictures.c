#include "engine/office/inline_pictures.h"

#include "core/str.h"
#include "engine/office/whole_file.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

enum { PAGE_BYTES_MAX = 256 << 20, PICTURE_BYTES_MAX = 64 << 20, NAME_BYTES = 64 };

static const struct {
    const char *extension, *type;
} pictures[] = {
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"gif", "image/gif"},
    {"svg", "image/svg+xml"},
};

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(pictures); i++)
        if (str_eq(dot + 1, pictures[i].extension))
            return pictures[i].type;
    return NULL;
}

static void append_base64(struct buf *b, const unsigned char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits =
            (uint32_t)data[i] << 16 | (n > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (n > 2 ? data[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};

        if (n > 1)
            four[2] = digits[bits >> 6 & 63];
        if (n > 2)
            four[3] = digits[bits & 63];
        buf_append(b, four, sizeof four);
    }
}

/* The file name of a picture at `p`, up to the closing quote: one component of harmless characters. */
static bool picture_name(const char *p, char ret[NAME_BYTES])
{
    size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    if (len == 0 || len >= NAME_BYTES || p[len] != '"' || p[0] == '.')
        return false;
    memcpy(ret, p, len);
    ret[len] = '\0';
    return type_of(ret) != NULL;
}

static int append_picture(struct buf *b, const char *folder, const char *name)
{
    _cleanup_buf_ struct buf picture = BUF_INIT(PICTURE_BYTES_MAX);
    char path[PATH_MAX];
    int r = -ENAMETOOLONG;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path)
        r = whole_file_read(path, &picture);
    if (r < 0)
        return r;
    buf_printf(b, "data:%s;base64,", type_of(name));
    append_base64(b, (const unsigned char *)picture.data, picture.len);
    return buf_error(b);
}

static int append_page(struct buf *b, const char *folder, const char *page, size_t len)
{
    static const char source[] = "src=\"";
    const char *from = page;
    int r = 0;

    for (const char *at = page;
         r >= 0 && (at = memmem(at, len - (size_t)(at - page), source, strlen(source)));) {
        char name[NAME_BYTES];

        at += strlen(source);
        if (!picture_name(at, name))
            continue;
        buf_append(b, from, (size_t)(at - from));
        r = append_picture(b, folder, name);
        from = r == -ENOENT ? at : at + strlen(name);
        r = r == -ENOENT ? 0 : r;
    }
    buf_append(b, from, len - (size_t)(from - page));
    return r < 0 ? r : buf_error(b);
}

static void remove_pictures(const char *folder, const char *page)
{
    _cleanup_closedir_ DIR *dir = opendir(folder);

    for (struct dirent *e; dir && (e = readdir(dir));)
        if (type_of(e->d_name) && !str_eq(e->d_name, page))
            unlinkat(dirfd(dir), e->d_name, 0);
}

int inline_pictures(const char *folder, const char *name)
{
    _cleanup_buf_ struct buf page = BUF_INIT(PAGE_BYTES_MAX), whole = BUF_INIT(PAGE_BYTES_MAX);
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return -ENAMETOOLONG;

    int r = whole_file_read(path, &page);

    if (r >= 0)
        r = append_page(&whole, folder, page.data ?: "", page.len);
    if (r >= 0)
        r = whole_file_write(path, whole.data ?: "", whole.len);
    if (r >= 0)
        remove_pictures(folder, name);
    return r;
}
