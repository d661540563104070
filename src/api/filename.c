#include "api/filename.h"

#include "core/buf.h"
#include "core/str.h"

/* UTF-8 forms of the characters that reorder text or hide in it: U+061C, U+200B, U+200E, U+200F,
 * U+202A–U+202E, U+2066–U+2069, U+FEFF (Unicode Technical Report 36, section 2.5). */
static size_t disguise_len(const char *s)
{
    static const char *const marks[] = {
        "\xd8\x9c",     "\xe2\x80\x8b", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6",
        "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9", "\xef\xbb\xbf",
    };

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (str_starts(s, marks[i]))
            return strlen(marks[i]);
    return 0;
}

/* Control characters of C0, DEL and C1 (0xc2 0x80–0x9f). */
static size_t control_len(const char *s)
{
    unsigned char c = (unsigned char)s[0], next = (unsigned char)s[c != 0];

    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 0;
}

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

void filename_clean(const char *raw, char ret[FILENAME_MAX_BYTES + 1])
{
    _cleanup_buf_ struct buf kept = BUF_INIT(64 * 1024);
    const char *name = last_component(raw);
    bool valid = utf8_valid(name, strlen(name));

    for (size_t skip; *name; name += skip) {
        if ((skip = control_len(name)) || (skip = disguise_len(name)))
            continue;
        skip = 1;
        if (!valid && (unsigned char)*name >= 0x80)
            buf_append(&kept, "_", 1);
        else
            buf_append(&kept, name, 1);
    }
    ret[0] = '\0';
    if (buf_error(&kept) || !kept.data || str_eq(kept.data, ".") || str_eq(kept.data, ".."))
        return;

    const char *extension = extension_of(kept.data);

    join(kept.data, (size_t)(extension - kept.data), extension, ret);
}

void filename_replace_extension(const char *name, const char *ext, char ret[FILENAME_MAX_BYTES + 1])
{
    char dotted[32];

    snprintf(dotted, sizeof dotted, ".%s", ext);
    join(name, (size_t)(extension_of(name) - name), dotted, ret);
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
