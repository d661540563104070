#include "format/filename.h"

#include "core/buf.h"
#include "core/str.h"
#include "format/format.h"

static const char *last_component(const char *raw)
{
    for (const char *p; (p = strpbrk(raw, "/\\"));)
        raw = p + 1;
    return raw;
}

static const char *extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && dot != name ? dot : name + strlen(name);
}

/* stem (clipped to fit) + extension. */
static void join(const char *stem, size_t stem_len, const char *extension, char ret[FILENAME_MAX_BYTES + 1])
{
    size_t ext_len = strlen(extension);

    if (ext_len >= FILENAME_MAX_BYTES / 2)
        ext_len = utf8_clip(extension, FILENAME_MAX_BYTES / 2);
    if (stem_len > FILENAME_MAX_BYTES - ext_len)
        stem_len = utf8_clip(stem, FILENAME_MAX_BYTES - ext_len);
    memcpy(ret, stem, stem_len);
    memcpy(ret + stem_len, extension, ext_len);
    ret[stem_len + ext_len] = '\0';
}

/* Without the blanks and dots at its end, which Windows drops: "a.exe." is a program there. */
static void trim_end(char *name)
{
    size_t n = strlen(name);

    while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '.'))
        n--;
    name[n] = '\0';
}

void filename_clean(const char *raw, char ret[FILENAME_MAX_BYTES + 1])
{
    _cleanup_buf_ struct buf kept = BUF_INIT(64 * 1024);
    const char *name = last_component(raw);
    uint32_t cp = 0;

    for (size_t left = strlen(name), n; left > 0; name += n, left -= n) {
        n = utf8_decode(name, left, &cp);
        if (n == 0) {
            buf_append(&kept, "_", n = 1);
        } else if (!utf8_unseen(cp)) {
            buf_append(&kept, name, n);
        }
    }
    ret[0] = '\0';
    if (buf_error(&kept) || !kept.data)
        return;

    /* A dot at the beginning hides a file on Unix. */
    const char *stem = kept.data + strspn(kept.data, " .");

    trim_end(kept.data);
    if (stem >= kept.data + strlen(kept.data))
        return;

    const char *extension = extension_of(stem);

    join(stem, (size_t)(extension - stem), extension, ret);
    trim_end(ret);
}

void filename_replace_extension(const char *name, const char *ext, char ret[FILENAME_MAX_BYTES + 1])
{
    char dotted[32];

    snprintf(dotted, sizeof dotted, ".%s", ext);
    join(name, (size_t)(format_extension_of(name) - name), dotted, ret);
}

void filename_number(const char *name, unsigned number, char ret[FILENAME_MAX_BYTES + 1])
{
    const char *extension = format_extension_of(name);
    char numbered[FILENAME_MAX_BYTES + 16];

    snprintf(numbered, sizeof numbered, " (%u)%s", number, extension);
    join(name, (size_t)(extension - name), numbered, ret);
}

void filename_disposition(const char *name, char ret[FILENAME_DISPOSITION_MAX])
{
    static const char attr_chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&+-.^_`|~";
    _cleanup_buf_ struct buf b = BUF_INIT(FILENAME_DISPOSITION_MAX - 1);

    buf_append_str(&b, "attachment; filename=\"");
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (c >= 0x80 && (c & 0xc0) == 0x80)
            continue; /* one underscore for each character, not for each byte */
        buf_append(&b, c < 0x20 || c >= 0x7f || strchr("\"\\%", c) ? "_" : p, 1);
    }
    buf_append_str(&b, "\"; filename*=UTF-8''");
    for (const char *p = name; *p; p++) {
        if (strchr(attr_chars, *p))
            buf_append(&b, p, 1);
        else
            buf_printf(&b, "%%%02X", (unsigned char)*p);
    }
    snprintf(ret, FILENAME_DISPOSITION_MAX, "%s", buf_error(&b) ? "attachment" : b.data);
}
