#include "engine/image/image.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_image, argc, argv);
}
