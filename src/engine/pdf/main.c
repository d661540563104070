#include "engine/pdf/pdf.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_pdf, argc, argv);
}
