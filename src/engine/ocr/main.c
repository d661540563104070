#include "engine/ocr/ocr.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_ocr, argc, argv);
}
