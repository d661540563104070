#include "cli/bar.h"

#include "core/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 24, COLUMNS_FALLBACK = 80 };

bool bar_possible(void)
{
    return isatty(STDERR_FILENO) && !str_eq(getenv("TERM"), "dumb"); // NOLINT(concurrency-mt-unsafe): unset
}

void bar_text(const char *text, size_t room, char ret[BAR_TEXT_MAX])
{
    size_t n = 0, shown = 0;

    for (; *text && shown < room && n + 5 < BAR_TEXT_MAX; text++) {
        unsigned char c = (unsigned char)*text;

        ret[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
        shown += (text[1] & 0xc0) != 0x80; /* counts a character at its last byte */
    }
    ret[n] = '\0';
}

static size_t columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_FALLBACK;
}

void bar_draw(unsigned percent, const char *head, const char *stage, const char *name)
{
    size_t filled = percent * WIDTH / 100, width = columns(), used, room, stage_len;
    char bar[WIDTH + 1], start[128], shown[BAR_TEXT_MAX];

    for (size_t i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[WIDTH] = '\0';
    used = (size_t)snprintf(start, sizeof start, "[%s] %3u%%  %s", bar, percent, head);
    if (used >= width) { /* a narrow terminal: the number alone */
        fprintf(stderr, "\r%3u%%\033[K", percent);
        return;
    }
    room = width - used - 1;
    stage_len = stage && strlen(stage) + 1 < room ? strlen(stage) + 1 : 0;
    bar_text(name, room - stage_len, shown);
    fprintf(stderr, "\r%s%s%s%s\033[K", start, stage_len ? stage : "", stage_len ? " " : "", shown);
}

void bar_clear(void)
{
    fputs("\r\033[K", stderr);
}
