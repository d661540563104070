#include "files/second_kind.h"

#include "core/cleanup.h"
#include "files/bytes.h"

#include <ctype.h>
#include <strings.h>

enum {
    ZIP_END_SIZE = 22,
    ZIP_COMMENT_MAX = 65535,
    MARK_MAX = 16,
    PDF_AHEAD = 1024, /* ISO 32000-1, annex H, note 13 */
};

struct mark {
    const char *bytes;
    size_t len;
};
#define MARK(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

/* Long enough to be no chance in some megabytes of a film; letters in either case. */
static const struct mark anywhere[] = {
    MARK("%PDF-"), MARK("Rar!\x1a\x07"), MARK("7z\xbc\xaf\x27\x1c"), MARK("__HALT_COMPILER"),
    MARK("<?php"), MARK("<script"),      MARK("<!doctype"),          MARK("<html"),
};
/* Programs and archives that count only where they begin at once. */
static const struct mark at_once[] = {
    MARK("PK\3\4"),
    MARK("PK\5\6"),
    MARK("MZ"),
    MARK("\x7f"
         "ELF"),
    MARK("\xca\xfe\xba\xbe"),
    MARK("#!"),
    MARK("<?xml"),
};

static bool is_mark(const unsigned char *p, size_t len, const struct mark *m)
{
    return len >= m->len && strncasecmp((const char *)p, m->bytes, m->len) == 0;
}

static bool has_mark(const unsigned char *p, size_t len)
{
    static const bool first[256] = {
        ['%'] = true, ['R'] = true, ['r'] = true, ['7'] = true, ['_'] = true, ['<'] = true};

    for (size_t i = 0; i < len; i++)
        if (first[p[i]])
            for (size_t k = 0; k < ARRAY_SIZE(anywhere); k++)
                if (is_mark(p + i, len - i, &anywhere[k]))
                    return true;
    return false;
}

/* Padding doesn't hide what comes behind it. */
static bool begins_otherwise(struct window *w, uint64_t at, uint64_t stop)
{
    const unsigned char *p;

    while (at < stop && (p = window_at(w, at, 1)) && (*p == 0 || isspace(*p)))
        at++;
    for (size_t i = 0; i < ARRAY_SIZE(at_once); i++)
        if ((p = window_at(w, at, at_once[i].len)) && memcmp(p, at_once[i].bytes, at_once[i].len) == 0)
            return true;
    return false;
}

/* The directory of a ZIP lies right before its end record, whatever comes ahead of the archive. */
static bool is_zip_end(int fd, uint64_t at, const unsigned char *record)
{
    uint32_t size = bytes_u32(record + 12);
    char entry[4];

    if (memcmp(record, "PK\5\6", 4) != 0 || size > at)
        return false;
    return bytes_u16(record + 10) == 0 || bytes_u16(record + 10) == UINT16_MAX ||
           (bytes_read_all(fd, at - size, entry, sizeof entry) == 0 && memcmp(entry, "PK\1\2", 4) == 0);
}

/* Behind a known end any directory counts; else one whose comment ends with the file: documents of the old
 * kinds hold others. */
static int find_zip(const struct window *w, uint64_t end)
{
    uint64_t from = w->size > ZIP_END_SIZE + ZIP_COMMENT_MAX ? w->size - ZIP_END_SIZE - ZIP_COMMENT_MAX : 0;
    bool exactly = end > w->size;
    _cleanup_free_ unsigned char *tail = NULL;
    size_t len;
    int r;

    if (!exactly && end > from)
        from = end;
    len = (size_t)(w->size - from);
    tail = malloc(len + 1);
    if (!tail)
        return -ENOMEM;
    r = bytes_read_all(w->fd, from, tail, len);
    if (r < 0)
        return r;
    for (size_t i = 0; i + ZIP_END_SIZE <= len; i++)
        if (tail[i] == 'P' && (!exactly || i + ZIP_END_SIZE + bytes_u16(tail + i + 20) == len) &&
            is_zip_end(w->fd, from + i, tail + i))
            return -ENOTUNIQ;
    return 0;
}

int second_kind_behind(struct window *w, uint64_t end)
{
    uint64_t stop;

    if (end < w->size) {
        stop = w->size - end < SECOND_KIND_TRAILER ? w->size : end + SECOND_KIND_TRAILER;
        if (begins_otherwise(w, end, stop))
            return -ENOTUNIQ;
        for (uint64_t at = end; at < stop; at += WINDOW_SIZE - MARK_MAX) {
            size_t n = stop - at < WINDOW_SIZE ? (size_t)(stop - at) : WINDOW_SIZE;
            const unsigned char *p = window_at(w, at, n);

            if (!p)
                return -EIO;
            if (has_mark(p, n))
                return -ENOTUNIQ;
        }
    }
    return find_zip(w, end);
}

int second_kind_pdf_ahead(struct window *w)
{
    size_t n = w->size < PDF_AHEAD ? (size_t)w->size : PDF_AHEAD;
    const unsigned char *p = window_at(w, 0, n);

    return !p ? -EIO : memmem(p, n, "%PDF-", 5) ? -ENOTUNIQ : 0;
}

int second_kind_pdf_end(struct window *w, uint64_t *ret_end)
{
    static const char mark[] = "%%EOF";
    enum { LEN = sizeof mark - 1 };

    *ret_end = UINT64_MAX;
    for (uint64_t stop = w->size; stop >= LEN;) {
        uint64_t at = stop > WINDOW_SIZE ? stop - WINDOW_SIZE : 0;
        size_t n = (size_t)(stop - at);
        const unsigned char *p = window_at(w, at, n), *found = NULL, *next = p;

        if (!p)
            return -EIO;
        while ((next = memmem(next, n - (size_t)(next - p), mark, LEN)))
            found = next++;
        if (found) {
            *ret_end = at + (uint64_t)(found - p) + LEN;
            return 0;
        }
        if (at == 0)
            break;
        stop = at + LEN - 1; /* the mark may lie across */
    }
    return 0;
}
