#include "engine/press/press.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_press, argc, argv);
}
