/* `decant jwt-key FOLDER`: the keys that access tokens are signed with, for installations whose API is
 * started apart (`decant serve` makes its own first one), and for changing them anywhere. */
#include "cli/commands.h"

#include "auth/jwt_keys.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { EXIT_USAGE = 2, EXPOSED = 077 };

static const char usage[] =
    "usage: decant jwt-key [--first] [--keep N] FOLDER\n\n"
    "Makes another key in FOLDER, which the API reads (DECANT_JWT_KEYS), and prints its id. It signs once "
    "it\n"
    "has been there for 5 minutes; the API looks once a minute, and at SIGHUP.\n\n"
    "  --first    only where there is none yet\n"
    "  --keep N   then removes all but the N newest. Tokens signed with the others are void\n";

struct wish {
    bool first;
    uint64_t keep; /* 0: all */
    const char *folder;
};

static int read_arguments(int argc, char **argv, struct wish *ret)
{
    *ret = (struct wish){0};
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--first"))
            ret->first = true;
        else if (str_eq(argv[i], "--keep") && i + 1 < argc) {
            if (str_to_u64(argv[++i], 1, JWT_KEYS_MAX, &ret->keep) < 0)
                return -EINVAL;
        } else if (argv[i][0] == '-' || ret->folder)
            return -EINVAL;
        else
            ret->folder = argv[i];
    }
    return ret->folder ? 0 : -EINVAL;
}

static int open_folder(const char *path)
{
    struct stat st;
    int fd;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_mode & EXPOSED) {
        close(fd);
        return -EPERM;
    }
    return fd;
}

static int make(const struct wish *wish)
{
    _cleanup_close_ int folder = open_folder(wish->folder);
    char kid[JWT_KID_MAX + 1] = "";
    int r = folder;

    if (r >= 0)
        r = wish->first ? jwt_key_make_first(folder, kid) : jwt_key_make(folder, kid);
    if (r >= 0 && *kid && puts(kid) < 0)
        r = -EIO;
    return r >= 0 && wish->keep > 0 ? jwt_keys_prune(folder, wish->keep) : r;
}

int cmd_jwt_key(int argc, char **argv)
{
    struct wish wish;
    int r;

    if (argc == 2 && str_eq(argv[1], "--help")) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (read_arguments(argc, argv, &wish) < 0) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    r = make(&wish);
    if (r < 0) {
        fprintf(stderr, "decant jwt-key: %s: %s\n", wish.folder,
                r == -EPERM
                    ? "others may look into it, or read a key of it; chmod 700 the folder and 600 the keys"
                : r == -EBADMSG ? "there is a .pem file whose name is no id of a key"
                : r == -EMFILE  ? "there are 16 keys already; remove some"
                                : strerror(-r));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
