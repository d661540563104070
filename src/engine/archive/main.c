#include "engine/archive/archive.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_archive, argc, argv);
}
