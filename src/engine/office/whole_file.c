#include "engine/office/whole_file.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>

int whole_file_read(const char *path, struct buf *ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char piece[64 * 1024];
    ssize_t n;
    int r = fd < 0 ? -errno : 0;

    while (r >= 0 && (n = read(fd, piece, sizeof piece)) != 0)
        r = n < 0 ? -errno : buf_append(ret, piece, (size_t)n);
    return r;
}

int whole_file_write(const char *path, const char *data, size_t len)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : path_write(fd, 0, data, len);
}
