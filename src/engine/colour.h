/* A colour as people write it in an option. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct colour {
    uint8_t red, green, blue; /* sRGB */
};

/* "#rrggbb", as it is written for the Web, or one of its names "white" and "black". False for anything else.
 */
bool colour_parse(const char *text, struct colour *ret);

static inline bool colour_is_grey(const struct colour *c)
{
    return c->red == c->green && c->green == c->blue;
}
