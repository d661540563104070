/* How far something is, on one line of the terminal that standard error is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { BAR_TEXT_MAX = 256 };

/* False: standard error is no terminal, or one that can't take a line back (TERM=dumb). */
bool bar_possible(void);
/* "[====>     ]  40%  HEAD STAGE NAME"; in a narrow terminal as much of it as there is room for. STAGE may be
 * NULL. */
void bar_draw(unsigned percent, const char *head, const char *stage, const char *name);
void bar_clear(void);

/* A text as a terminal may see it: at most `room` characters, and none that it would obey. */
void bar_text(const char *text, size_t room, char ret[BAR_TEXT_MAX]);
