/* Stands in for a program, whose file lies beside it as NAME.real, and runs that under valgrind. A program
 * and no script, since it is executed by a descriptor that is closed on the way. Listings of processes show
 * it under its own name. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char self[PATH_MAX - 8] = "", real[PATH_MAX], log[PATH_MAX + 32];
    char *const options[] = {argv[0], VALGRIND_OPTIONS, log, real};
    enum { N_OPTIONS = sizeof options / sizeof *options };
    char **words = calloc(N_OPTIONS + (size_t)argc, sizeof *words);

    if (!words || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return EXIT_FAILURE;
    snprintf(real, sizeof real, "%s.real", self);
    snprintf(log, sizeof log, "--log-file=" LOGS "/%.32s.%%p", strrchr(self, '/') + 1);
    memcpy(words, options, sizeof options);
    for (int i = 1; i < argc; i++)
        words[N_OPTIONS + i - 1] = argv[i];
    execv("/usr/bin/valgrind.bin", words); /* valgrind itself is a script, which loses argv[0] */
    fprintf(stderr, "valgrind: %s\n", strerror(errno));
    return EXIT_FAILURE;
}
