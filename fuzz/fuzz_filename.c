/* Names of uploaded files. Whatever a client calls its file: what is kept is short, valid UTF-8, no path and
 * shows all that is in it; a name that was such already is kept as it was; and the header for downloads is
 * one line of ASCII that gives it back. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "format/filename.h"

#include <ctype.h>

/* Controls, and what turns the direction of writing or is not seen. */
static bool is_bad(uint32_t cp)
{
    return cp < ' ' || (cp >= 0x7f && cp <= 0x9f) || cp == 0xad || cp == 0x61c || cp == 0x200b ||
           cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) ||
           cp == 0x3164 || cp == 0xfeff || cp == 0xffa0 || (cp >= 0xfff9 && cp <= 0xfffb) ||
           (cp >= 0x1d173 && cp <= 0x1d17a) || (cp >= 0xe0000 && cp <= 0xe007f);
}

static bool is_clean(const char *name)
{
    size_t len = strlen(name);
    uint32_t cp;

    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_decode(name + i, len - i, &cp);
        if (n == 0 || is_bad(cp))
            return false;
    }
    return len <= FILENAME_MAX_BYTES && !strpbrk(name, "/\\") &&
           (len == 0 || (!strchr(" .", name[0]) && !strchr(" .", name[len - 1])));
}

/* attachment; filename="…"; filename*=UTF-8''… */
static void check_header(const char *name)
{
    static const char begin[] = "attachment; filename=\"", between[] = "\"; filename*=UTF-8''";
    char header[FILENAME_DISPOSITION_MAX], *quoted, *p, byte[3] = "";

    filename_disposition(name, header);
    require(strlen(header) < sizeof header && strncmp(header, begin, sizeof begin - 1) == 0);
    quoted = header + sizeof begin - 1;
    p = strchr(quoted, '"');
    require(p && strncmp(p, between, sizeof between - 1) == 0);
    for (const char *q = quoted; q < p; q++)
        require(*q >= ' ' && *q < 0x7f && *q != '\\' && *q != '%');
    for (p += sizeof between - 1; *p; name++) {
        require(isalnum((unsigned char)*p) || strchr("!#$&+-.^_`|~%", *p));
        if (*p == '%') {
            byte[0] = p[1];
            byte[1] = p[2];
            require(isxdigit((unsigned char)byte[0]) && isxdigit((unsigned char)byte[1]));
            require((unsigned char)*name == strtoul(byte, NULL, 16));
        } else {
            require(*name == *p);
        }
        p += *p == '%' ? 3 : 1;
    }
    require(*name == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *raw = strndup((const char *)data, size);
    char name[FILENAME_MAX_BYTES + 1], again[FILENAME_MAX_BYTES + 1];

    require(raw != NULL);
    filename_clean(raw, name);
    require(is_clean(name));
    if (is_clean(raw) && strlen(strrchr(raw, '.') ? strrchr(raw, '.') : "") < FILENAME_MAX_BYTES / 2)
        require(strcmp(raw, name) == 0);
    filename_clean(name, again);
    require(strcmp(name, again) == 0);
    check_header(name);
    if (strlen(raw) <= FILENAME_MAX_BYTES) /* what Redis may hold */
        check_header(raw);

    filename_replace_extension(name, "pdf", again);
    require(strlen(again) >= 4 && strcmp(again + strlen(again) - 4, ".pdf") == 0);
    require(*name == '\0' || is_clean(again));
    check_header(again);
    return 0;
}
