#include "engine/markup/markup.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_markup, argc, argv);
}
