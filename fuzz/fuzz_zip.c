/* The ZIP inspector. An input is a file. What is taken keeps its promises: names that are no paths elsewhere,
 * no name twice, bounds. And libzip, a reader that has nothing to do with ours, must not see another archive
 * in it: the same members, and where both can read one the same content. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "files/bytes.h"
#include "files/zipdir.h"

#include <strings.h>
#include <sys/mman.h>
#include <zip.h>

enum { MEMBER_MAX = 1 << 16, PEEK = 512 };

static int memory_file(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one for all: making one takes as long as parsing */

    if (fd < 0)
        fd = memfd_create("input", MFD_CLOEXEC);
    require(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    return fd;
}

static void require_safe_name(const char *name)
{
    require(*name && *name != '/' && *name != '\\' && (strlen(name) < 2 || name[1] != ':'));
    for (const char *p = name; *p; p += strspn(p, "/\\")) {
        size_t len = strcspn(p, "/\\");

        require(len != 2 || strncmp(p, "..", 2) != 0);
        p += len;
    }
}

/* The content, as libzip sees it; -1 where it can't read it. */
static ssize_t read_theirs(zip_t *theirs, zip_uint64_t i, char *ret, size_t size)
{
    zip_file_t *file = zip_fopen_index(theirs, i, 0);
    zip_int64_t n = file ? zip_fread(file, ret, size) : -1;

    if (file && zip_fclose(file) != 0)
        n = -1;
    return (ssize_t)n;
}

static void require_same_content(struct zipdir *ours, zip_t *theirs, zip_uint64_t i, const zip_stat_t *st)
{
    _cleanup_free_ char *content = NULL;
    char *other;
    size_t len = 0;
    ssize_t n;

    if (zipdir_read(ours, st->name, MEMBER_MAX, &content, &len) < 0)
        return;
    require(len <= MEMBER_MAX && content[len] == '\0' && len == st->size);
    other = malloc(len + 1);
    require(other != NULL);
    n = read_theirs(theirs, i, other, len);
    if (n >= 0)
        require((size_t)n == len && memcmp(content, other, len) == 0);
    free(other);
}

/* Of several end records libzip takes the one that it likes best, we the last, as LibreOffice does. */
static bool has_one_end(const uint8_t *data, size_t size)
{
    const uint8_t *first = memmem(data, size, "PK\5\6", 4);

    return first && !memmem(first + 1, size - (size_t)(first + 1 - data), "PK\5\6", 4);
}

static void compare(struct zipdir *ours, const uint8_t *data, size_t size)
{
    zip_source_t *source = zip_source_buffer_create(data, size, 0, NULL);
    zip_t *theirs = source ? zip_open_from_source(source, ZIP_RDONLY, NULL) : NULL;
    uint64_t inflated = 0;

    if (!theirs) {
        zip_source_free(source);
        return;
    }
    require((size_t)zip_get_num_entries(theirs, 0) == zipdir_count(ours));
    for (size_t i = 0; i < zipdir_count(ours); i++) {
        zip_stat_t st;

        require(zip_stat_index(theirs, i, ZIP_FL_ENC_RAW, &st) == 0);
        inflated += st.size;
        require_safe_name(st.name);
        require_same_content(ours, theirs, i, &st);
    }
    require(inflated == zipdir_inflated(ours));
    zip_discard(theirs);
}

/* A member is called the same where it begins as in the directory: read straight from the bytes, of archives
 * without 64-bit numbers. */
static void require_local_names(const struct zipdir *z, const uint8_t *data, size_t size)
{
    const uint8_t *end = memmem(data, size, "PK\5\6", 4), *p = data + bytes_u32(end + 16);

    if (bytes_u16(end + 10) == UINT16_MAX || bytes_u32(end + 12) == UINT32_MAX ||
        bytes_u32(end + 16) == UINT32_MAX)
        return;
    require(bytes_u16(end + 10) == zipdir_count(z));
    for (size_t i = 0; i < zipdir_count(z); i++) {
        uint16_t len = bytes_u16(p + 28);
        uint32_t at = bytes_u32(p + 42);

        if (at != UINT32_MAX) {
            require(at + UINT64_C(30) + len <= size && memcmp(data + at, "PK\3\4", 4) == 0);
            require(bytes_u16(data + at + 26) == len && memcmp(data + at + 30, p + 46, len) == 0);
        }
        p += 46 + len + bytes_u16(p + 30) + bytes_u16(p + 32);
        require(p <= data + size);
    }
}

static void peek(struct zipdir *z)
{
    char head[PEEK];

    for (size_t i = 0; i < zipdir_count(z); i++) {
        ssize_t n = zipdir_peek(z, i, head, sizeof head);

        require(n <= (ssize_t)sizeof head);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zipdir *z;

    if (zipdir_open(memory_file(data, size), &z) < 0)
        return 0;
    require(zipdir_count(z) <= ZIPDIR_ENTRIES_MAX && zipdir_inflated(z) <= ZIPDIR_INFLATED_MAX);
    peek(z);
    if (has_one_end(data, size)) {
        require_local_names(z, data, size);
        compare(z, data, size);
    }
    zipdir_close(z);
    return 0;
}
