/* Names of uploaded files. Whatever a client calls its file: what is kept is short, valid UTF-8 and no path,
 * cleaning it again changes nothing, and the header for downloads is one line of ASCII. */
#include "fuzz.h"

#include "api/filename.h"
#include "core/cleanup.h"

static void require_clean(const char *name)
{
    _cleanup_json_ json_t *utf8 = json_string(name); /* NULL where it isn't UTF-8 */

    require(utf8 != NULL);
    require(strlen(name) <= FILENAME_MAX_BYTES);
    require(!strpbrk(name, "/\\") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    for (const char *p = name; *p; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
    /* the marks of direction: U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 */
    for (const char *p = name; (p = strstr(p, "\xe2\x80")); p += 2)
        require(!strchr("\x8e\x8f\xaa\xab\xac\xad\xae", p[2]));
    for (const char *p = name; (p = strstr(p, "\xe2\x81")); p += 2)
        require(!strchr("\xa6\xa7\xa8\xa9", p[2]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *raw = strndup((const char *)data, size);
    char name[FILENAME_MAX_BYTES + 1], again[FILENAME_MAX_BYTES + 1], header[FILENAME_DISPOSITION_MAX];

    require(raw != NULL);
    filename_clean(raw, name);
    require_clean(name);
    filename_clean(name, again);
    require(strcmp(name, again) == 0);

    filename_replace_extension(name, "pdf", again);
    require_clean(again);
    filename_disposition(name, header);
    require(strlen(header) < sizeof header && strncmp(header, "attachment; ", 12) == 0);
    for (const char *p = header; *p; p++)
        require(*p >= ' ' && *p < 0x7f);
    return 0;
}
