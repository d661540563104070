#include "engine/font/font.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_font, argc, argv);
}
