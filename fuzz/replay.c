/* Runs every file of the folders that it is given through a fuzz target, so that the corpus and each input
 * that once broke something are tests under any compiler. */
#include "fuzz.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void replay(int dirfd, const char *name)
{
    _cleanup_free_ uint8_t *data = NULL;
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !(data = malloc((size_t)st.st_size + 1)) ||
        read(fd, data, (size_t)st.st_size) != st.st_size) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(1);
    }
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        _cleanup_closedir_ DIR *dir = opendir(argv[i]);
        struct dirent *entry;

        if (!dir) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            return 1;
        }
        while ((entry = readdir(dir)))
            if (entry->d_name[0] != '.') {
                replay(dirfd(dir), entry->d_name);
                n++;
            }
    }
    printf("%u inputs\n", n);
    return n == 0;
}
