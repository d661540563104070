#include "engine/pages/pages.h"

int main(int argc, char **argv)
{
    return engine_main(&pages_engine, argc, argv);
}
