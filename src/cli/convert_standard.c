#include "cli/convert_standard.h"

#include "core/cleanup.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_STEP = 64 << 10 };

bool convert_is_standard(const char *path)
{
    return str_eq(path, "-");
}

int convert_standard_file(void)
{
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    char path[PATH_MAX];
    int fd;

    if (snprintf(path, sizeof path, "%s/decant-XXXXXX", tmp && *tmp ? tmp : "/tmp") >= (int)sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int convert_standard_copy(int from, int to)
{
    char data[COPY_STEP];
    int r = 0;

    while (r == 0) {
        ssize_t n = read(from, data, sizeof data);

        if (n == 0)
            return 0;
        if (n > 0)
            r = write_all(to, data, (size_t)n);
        else if (errno != EINTR)
            r = -errno;
    }
    return r;
}

int convert_standard_take_input(void)
{
    _cleanup_close_ int file = convert_standard_file();
    int r = file < 0 ? file : convert_standard_copy(STDIN_FILENO, file);

    if (r == 0 && dup2(file, STDIN_FILENO) < 0)
        r = -errno;
    return r;
}

int convert_standard_put(int fd)
{
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : convert_standard_copy(fd, STDOUT_FILENO);
}
