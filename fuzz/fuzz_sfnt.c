/* A font: what is taken apart is put together again as the same tables, as a font and as WOFF. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "engine/font/sfnt.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 32 };

static int make_file(const void *data, size_t len, char path[PATH_BYTES])
{
    int fd = memfd_create("font", MFD_CLOEXEC);

    require(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

static void compare(int a, int b)
{
    struct stat x, y;
    char left[4096], right[4096];

    require(fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_size == y.st_size);
    for (off_t at = 0; at < x.st_size; at += (off_t)sizeof left) {
        ssize_t n = pread(a, left, sizeof left, at);

        require(n > 0 && pread(b, right, sizeof right, at) == n && memcmp(left, right, (size_t)n) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char in[PATH_BYTES], plain[PATH_BYTES], woff[PATH_BYTES], again[PATH_BYTES];
    _cleanup_close_ int in_fd = make_file(data, size, in), plain_fd = make_file("", 0, plain);
    _cleanup_close_ int woff_fd = make_file("", 0, woff), again_fd = make_file("", 0, again);
    struct sfnt *font, *packed;

    if (sfnt_load(in, &font) < 0)
        return 0;
    require(sfnt_write(font, plain) == 0 && sfnt_write_woff(font, woff) == 0);
    require(sfnt_load(woff, &packed) == 0 && sfnt_write(packed, again) == 0);
    compare(plain_fd, again_fd);
    sfnt_free(packed);
    sfnt_free(font);
    return 0;
}
