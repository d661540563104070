/* Started by engine/launch.c in an engine's place: executes the real one, in real/ beside it, with the
 * intruder loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char folder[256], path[512];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);

    if (n < 0)
        return EXIT_FAILURE;
    folder[n] = '\0';
    *strrchr(folder, '/') = '\0';
    snprintf(path, sizeof path, "%s/intruder.so", folder);
    setenv("LD_PRELOAD", path, 1);
    snprintf(path, sizeof path, "%s/real/%s", folder, argv[0]);
    execv(path, argv);
    return EXIT_FAILURE;
}
