#include "engine/office/office.h"

int main(int argc, char **argv)
{
    return engine_main(&engine_office, argc, argv);
}
