#include "engine/folder.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { INDEX_MAX = 4 << 20 /* bytes */ };

/* --- names */

static bool is_harmless(const char *file)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.";

    return *file && *file != '.' && strlen(file) < FOLDER_FILE_MAX && file[strspn(file, allowed)] == '\0' &&
           !str_eq(file, FOLDER_INDEX);
}

static bool is_safe_byte(unsigned char c)
{
    return c >= 0x20 && c != 0x7f && !strchr("\\:*?\"<>|", c);
}

static bool is_safe_component(const char *p, size_t len)
{
    return len > 0 && len <= 255 && !(len == 1 && p[0] == '.') && !(len == 2 && p[0] == '.' && p[1] == '.');
}

bool folder_name_is_safe(const char *name)
{
    if (strlen(name) >= FOLDER_NAME_MAX || !utf8_valid(name, strlen(name)))
        return false;
    for (const char *p = name; *p; p++)
        if (*p != '/' && !is_safe_byte((unsigned char)*p))
            return false;
    for (const char *p = name;; p++) {
        size_t len = strcspn(p, "/");

        if (!is_safe_component(p, len))
            return false;
        p += len;
        if (!*p)
            return true;
    }
}

static void mend(char *s)
{
    uint32_t character;

    for (size_t len = strlen(s), n; *s; s += n, len -= n) {
        n = utf8_decode(s, len, &character);
        if (n == 0) {
            *s = '_';
            n = 1;
        }
    }
}

/* One component onto `ret`; the longest ones lose what is behind 255 bytes. */
static size_t add_component(const char *p, size_t len, char *ret, size_t at)
{
    char clean[256];
    size_t n = 0;

    for (size_t i = 0; i < len && n < sizeof clean - 1; i++)
        clean[n++] = is_safe_byte((unsigned char)p[i]) ? p[i] : '_';
    clean[n] = '\0';
    n = utf8_clip(clean, n);
    if (!is_safe_component(clean, n) || at + n + 2 > FOLDER_NAME_MAX)
        return at;
    if (at > 0)
        ret[at++] = '/';
    memcpy(ret + at, clean, n);
    ret[at + n] = '\0';
    return at + n;
}

void folder_make_name(const char *text, char ret[FOLDER_NAME_MAX])
{
    _cleanup_free_ char *copy = strdup(text);
    size_t at = 0, len;

    ret[0] = '\0';
    if (!copy)
        return;
    mend(copy);
    for (char *p = copy; *p; p++)
        if (*p == '\\')
            *p = '/';
    len = strlen(copy);
    /* Of a path that is too deep the end is what people know it by. */
    for (const char *p = len >= FOLDER_NAME_MAX / 2 ? copy + len - FOLDER_NAME_MAX / 2 : copy; *p;) {
        size_t n = strcspn(p, "/");

        at = add_component(p, n, ret, at);
        p += n + (p[n] == '/');
    }
}

void folder_file_name(size_t n, const char *ext, char ret[FOLDER_FILE_MAX])
{
    snprintf(ret, FOLDER_FILE_MAX, "%04zu%s%s", n, ext ? "." : "", ext ? ext : "");
}

int folder_open_file(int dirfd, const char *file, int flags)
{
    int fd = openat(dirfd, file, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);

    return fd < 0 ? -errno : fd;
}

/* --- the index */

int folder_add(json_t *files, const char *file, const char *name)
{
    return json_array_append_new(files, json_pack("{s:s, s:s}", "file", file, "name", name)) < 0 ? -ENOMEM
                                                                                                 : 0;
}

static int check(const json_t *files)
{
    const json_t *entry;
    size_t i;

    if (!json_is_array(files))
        return -EBADMSG;
    if (json_array_size(files) > FOLDER_FILES_MAX)
        return -EMSGSIZE;
    json_array_foreach(files, i, entry)
    {
        const char *file = json_string_value(json_object_get(entry, "file"));
        const char *name = json_string_value(json_object_get(entry, "name"));

        if (!file || !name || !is_harmless(file) || !folder_name_is_safe(name))
            return -EBADMSG;
    }
    return 0;
}

int folder_read(int dirfd, json_t **ret_files)
{
    _cleanup_close_ int fd = folder_open_file(dirfd, FOLDER_INDEX, O_RDONLY);
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *index = NULL;
    ssize_t n;
    int r;

    if (fd < 0)
        return fd;
    text = malloc(INDEX_MAX);
    if (!text)
        return -ENOMEM;
    n = path_read(fd, 0, text, INDEX_MAX);
    if (n < 0 || n == INDEX_MAX)
        return n < 0 ? (int)n : -EBADMSG;
    index = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    r = check(json_object_get(index, "files"));
    if (r == 0)
        *ret_files = json_incref(json_object_get(index, "files"));
    return r;
}

int folder_write(int dirfd, const json_t *files)
{
    _cleanup_json_ json_t *index = json_pack("{s:O}", "files", files);
    _cleanup_close_ int fd = -1;

    if (!index)
        return -ENOMEM;
    fd = folder_open_file(dirfd, FOLDER_INDEX, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    return json_dumpfd(index, fd, JSON_COMPACT) < 0 ? -EIO : 0;
}
