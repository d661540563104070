#include "engine/office/plain_text.h"

#include "core/str.h"
#include "engine/office/encoding.h"
#include "engine/office/whole_file.h"

#include <errno.h>
#include <fcntl.h>

/* A text of this size is some 100,000 pages; LibreOffice would not get through it in time. */
enum { TEXT_BYTES_MAX = 256 << 20 };

int plain_text_to_utf8(const char *path, const char *encoding, const char *copy_path)
{
    _cleanup_buf_ struct buf in = BUF_INIT(TEXT_BYTES_MAX), out = BUF_INIT(3UL * TEXT_BYTES_MAX);
    int r = whole_file_read(path, &in);

    if (r < 0 || in.len == 0)
        return r;
    if (str_eq(encoding, ENCODING_AUTO))
        encoding = encoding_guess(in.data, in.len);
    if (str_eq(encoding, "utf-8"))
        return utf8_valid(in.data, in.len) ? 0 : -EILSEQ;
    r = encoding_read(encoding, in.data, in.len, &out);
    if (r >= 0)
        r = whole_file_write(copy_path, out.data ?: "", out.len);
    return r < 0 ? r : 1;
}

char plain_text_separator(const char *path)
{
    static const char candidates[] = ",;\t|";
    size_t counts[sizeof candidates] = {0}, best = 0;
    char head[64 * 1024];
    bool quoted = false;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof head);

    for (ssize_t i = 0; i < len && (quoted || (head[i] != '\n' && head[i] != '\r')); i++) {
        const char *at = head[i] ? strchr(candidates, head[i]) : NULL;

        if (head[i] == '"')
            quoted = !quoted;
        else if (at && !quoted)
            counts[at - candidates]++;
    }
    for (size_t i = 1; i < sizeof candidates - 1; i++)
        if (counts[i] > counts[best])
            best = i;
    return candidates[best];
}

int plain_text_encode(const char *path, const char *encoding)
{
    _cleanup_buf_ struct buf in = BUF_INIT(TEXT_BYTES_MAX), out = BUF_INIT(2UL * TEXT_BYTES_MAX);
    int r = whole_file_read(path, &in);
    size_t mark = r < 0 ? 0 : encoding_mark(in.data, in.len);

    if (r < 0 || (mark == 0 && str_eq(encoding, "utf-8")))
        return r;
    r = encoding_write(encoding, in.data + mark, in.len - mark, &out);
    return r < 0 ? r : whole_file_write(path, out.data ?: "", out.len);
}
