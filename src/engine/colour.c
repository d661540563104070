#include "engine/colour.h"

#include "core/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    struct colour colour;
} names[] = {{"white", {0xff, 0xff, 0xff}}, {"black", {0, 0, 0}}};

bool colour_parse(const char *text, struct colour *ret)
{
    enum { DIGITS = 6 };
    unsigned long value;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(names[i].name, text)) {
            *ret = names[i].colour;
            return true;
        }
    if (text[0] != '#' || strlen(text) != 1 + DIGITS)
        return false;
    for (const char *p = text + 1; *p; p++)
        if (!isxdigit((unsigned char)*p))
            return false;
    value = strtoul(text + 1, NULL, 16);
    *ret = (struct colour){(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    return true;
}
