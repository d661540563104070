/* Which fonts a document asked for that weren't there, and what was taken instead: a short list of pairs of
 * family names.
 *
 * The names come from the document. In a list they are 1 to FONT_NAME_MAX bytes of UTF-8 without control
 * characters, whoever has made it: fonts_add() makes them so, fonts_parse() refuses others. */
#pragma once

#include "core/cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    FONT_NAME_MAX = 64,
    FONTS_MAX = 32, /* pairs; a document that has more of them is told of these */
    FONTS_TEXT_MAX = FONTS_MAX * 2 * (FONT_NAME_MAX + 1) + 1,
};

struct font_pair {
    char font[FONT_NAME_MAX + 1], used[FONT_NAME_MAX + 1];
};

struct font_list {
    bool known; /* false: nobody has looked, as nothing was laid out */
    size_t n;
    struct font_pair list[FONTS_MAX]; /* by names, each pair once */
};

/* The same family, as fonts are looked up: neither case nor spaces and hyphens count ("TimesNewRoman"). */
bool fonts_same(const char *a, const char *b);
/* Have they the same widths, so that lines and pages break where they would have? */
bool fonts_metric_compatible(const char *font, const char *used);

/* Adds the pair, unless it is there or the list is full. A long name is cut, and a control character becomes
 * a question mark. */
void fonts_add(struct font_list *fonts, const char *font, const char *used);

/* As text for a message: a line for each name. */
void fonts_write(const struct font_list *fonts, char ret[FONTS_TEXT_MAX]);
/* -EBADMSG when it is no such text: too many pairs, a name that none may have. The list is then unknown. */
int fonts_parse(const char *text, struct font_list *ret) _warn_unused_;

/* [{"font": "Calibri", "used": "Carlito", "metric_compatible": true}, …]; null when it is unknown, NULL
 * without memory. */
json_t *fonts_json(const struct font_list *fonts) _warn_unused_;
