/* `decant seal-key FILE`: the key pair for document passwords, for installations whose API and worker are
 * started apart (`decant serve` makes its own). The secret key stays in the file, the public key is printed.
 */
#include "cli/commands.h"

#include "core/seal.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>

static const char usage[] =
    "usage: decant seal-key FILE\n\n"
    "Makes a key for document passwords unless FILE is there, and prints its public half. The worker gets "
    "the\n"
    "file (DECANT_SEAL_KEY), which its user alone may read, and the API the public half "
    "(DECANT_SEAL_PUBLIC).\n";

int cmd_seal_key(int argc, char **argv)
{
    char public[SEAL_PUBLIC_LEN + 1];
    struct seal_key *key = NULL;
    int r;

    if (argc == 2 && str_eq(argv[1], "--help")) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc != 2 || argv[1][0] == '-') {
        fputs(usage, stderr);
        return 2;
    }
    r = seal_key_make(AT_FDCWD, argv[1], (uid_t)-1, (gid_t)-1);
    if (r == 0)
        r = seal_key_load(AT_FDCWD, argv[1], &key);
    if (r < 0) {
        fprintf(stderr, "decant seal-key: %s: %s\n", argv[1],
                r == -EBADMSG ? "this file is no key"
                : r == -EPERM ? "others may read it; chmod 600 it, or make a new one"
                              : strerror(-r));
        return EXIT_FAILURE;
    }
    seal_key_public(key, public);
    seal_key_free(key);
    return puts(public) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
