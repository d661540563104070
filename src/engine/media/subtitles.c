#include "engine/media/subtitles.h"

#include "core/str.h"
#include "engine/media/streams.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int media_head(const char *path, char *ret)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    return file ? (int)fread(ret, 1, MEDIA_HEAD, file) : -errno;
}

static bool has_utf16_mark(const char *line, size_t len)
{
    return len >= 2 && (memcmp(line, "\xff\xfe", 2) == 0 || memcmp(line, "\xfe\xff", 2) == 0);
}

/* Line by line: none of UTF-8's characters has a line's end in it. */
int subtitles_charset(const char *path, const char **ret)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    size_t room = 0;
    ssize_t n;

    *ret = NULL;
    if (!file)
        return -errno;
    for (bool first = true; (n = getline(&line, &room, file)) >= 0; first = false) {
        if (first && has_utf16_mark(line, (size_t)n))
            return 0;
        if (!utf8_valid(line, (size_t)n)) {
            *ret = "WINDOWS-1252";
            return 0;
        }
    }
    return ferror(file) ? -EIO : 0;
}

/* --- the text alone */

static bool is_number(const char *line)
{
    return *line && line[strspn(line, "0123456789")] == '\0';
}

static bool is_timing(const char *line)
{
    unsigned part[4];
    int end = 0;

    return sscanf(line, "%u:%u:%u,%u --> %n", &part[0], &part[1], &part[2], &part[3], &end) == 4 && end > 0;
}

/* Behind the markup that begins at `p`, as SubRip has it (<i>, </font>, {\an8}); `p` itself where none does.
 */
static const char *skip_markup(const char *p)
{
    bool tag = *p == '<' && (p[1] == '/' || isalpha((unsigned char)p[1]));
    bool code = *p == '{' && p[1] == '\\';
    const char *end = tag || code ? strchr(p, tag ? '>' : '}') : NULL;

    return end ? end + 1 : p;
}

struct writer {
    FILE *file;
    unsigned lines;
    bool gap; /* an empty line is due, if anything follows */
};

static void write_line(struct writer *w, const char *line)
{
    bool any = false;

    for (const char *p = line; *p;) {
        const char *next = skip_markup(p);

        if (next == p) {
            if (!any && w->gap && w->lines > 0)
                fputc('\n', w->file);
            any = true;
            fputc(*p, w->file);
            next++;
        }
        p = next;
    }
    w->gap = !any;
    if (!any)
        return;
    w->lines++;
    fputc('\n', w->file);
}

/* A line waits for the one after it: a number ahead of times counts cues. */
static int write_text(FILE *in, FILE *out)
{
    _cleanup_free_ char *line = NULL, *before = NULL;
    struct writer w = {.file = out};
    size_t room = 0;

    while (getline(&line, &room, in) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (before && !(is_timing(line) && is_number(before)))
            write_line(&w, before);
        free(before);
        before = is_timing(line) ? NULL : strdup(line);
        if (!before && !is_timing(line))
            return -ENOMEM;
    }
    if (before)
        write_line(&w, before);
    return ferror(in) || ferror(out) ? -EIO : (int)(w.lines > 0);
}

static enum outcome outcome_of(int r)
{
    return r > 0 ? OUTCOME_OK : r == 0 ? OUTCOME_NO_OUTPUT : OUTCOME_INTERNAL;
}

enum outcome subtitles_to_text(struct engine_job *job)
{
    _cleanup_free_ char *from = NULL, *to = NULL;
    FILE *in, *out;
    int r;

    if (asprintf(&from, "%s/%s", job->output_path, job->output_name) < 0)
        return OUTCOME_INTERNAL;
    engine_name_result(job, "txt");
    if (asprintf(&to, "%s/%s", job->output_path, job->output_name) < 0)
        return OUTCOME_INTERNAL;
    in = fopen(from, "re");
    out = fopen(to, "we");
    r = in && out ? write_text(in, out) : -EIO;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        r = -EIO;
    unlink(from);
    return outcome_of(r);
}
