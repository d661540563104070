/* The program that the engine "tooled" executes: attempts_tool OPTIONS INPUT tries what a job's options name.
 */
#include "attempts.h"

#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    json_t *options = argc == 3 ? json_loads(argv[1], 0, NULL) : NULL;

    if (!options)
        return 2;
    signal(SIGXFSZ, SIG_IGN); /* as in an engine's child: the call itself fails */
    attempt_in_program = true;
    attempt_run(options, argv[2], "tooled");
    _exit(3); /* where it carries on; without what sanitizers would do at the end, which needs more rights */
}
