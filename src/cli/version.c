#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>

int cmd_version(int argc, char **argv)
{
    printf("decant %s\n", DECANT_VERSION);
    return EXIT_SUCCESS;
}
