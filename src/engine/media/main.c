#include "engine/media/media.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_media, argc, argv);
}
