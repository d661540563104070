/* Two questions, and both have to be answered with yes: does libmagic see something that such a file may look
 * like, and does the container or the text hold what makes it one? Either alone is easily deceived: libmagic
 * calls many OOXML files octet-stream, and a PDF may have a ZIP behind it.
 *
 * All reading goes through a description of our own (path_reopen): libmagic reads from the current offset,
 * and the caller's must not move. */
#include "files/sniff.h"

#include "core/path.h"
#include "core/str.h"
#include "files/bytes.h"
#include "files/ole.h"
#include "files/plaintext.h"
#include "files/zipdir.h"

#include <magic.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    MAGIC_SAMPLE = 256 << 10, /* how much libmagic reads; by itself it takes 7 MiB into memory, and four times
                                 that for texts */
    TEXT_SAMPLE = 4 << 20,    /* how much of a text is looked at */
    CONTENT_TYPES_MAX = 1 << 20, /* [Content_Types].xml */
    MIMETYPE_MAX = 256,
    PROLOG_MAX = 8 << 10, /* how much of each part of a package is searched for its root element */
};

struct sniffer {
    magic_t magic;
};

int sniffer_new(struct sniffer **ret)
{
    magic_t magic = magic_open(MAGIC_MIME_TYPE | MAGIC_ERROR | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR);
    struct sniffer *s;

    if (!magic)
        return -errno;
    if (magic_load(magic, NULL) < 0) {
        magic_close(magic);
        return -ENOENT;
    }
    magic_setparam(magic, MAGIC_PARAM_BYTES_MAX, &(size_t){MAGIC_SAMPLE});
    s = malloc(sizeof *s);
    if (!s) {
        magic_close(magic);
        return -ENOMEM;
    }
    s->magic = magic;
    *ret = s;
    return 0;
}

void sniffer_free(struct sniffer *s)
{
    if (!s)
        return;
    magic_close(s->magic);
    free(s);
}

static void cleanup_zipdir(struct zipdir **z)
{
    zipdir_close(*z);
}

static void cleanup_ole(struct ole **o)
{
    ole_close(*o);
}

/* One of the `|`-separated markers is a stream at the top? */
static int check_ole(int fd, const char *markers)
{
    _cleanup_(cleanup_ole) struct ole *o = NULL;
    _cleanup_free_ char *copy = strdup(markers);
    char *rest = copy, *name;
    int r;

    if (!copy)
        return -ENOMEM;
    r = ole_open(fd, &o);
    if (r < 0)
        return r;
    while ((name = strsep(&rest, "|")))
        if (ole_has_stream(o, name))
            return 0;
    return -EMEDIUMTYPE;
}

/* No part of a package may declare entities: OPC forbids it (ISO/IEC 29500-2 section 8.2.5), and in
 * OpenDocument only attacks do. Members that are no XML pass. */
static int check_parts(struct zipdir *z)
{
    for (size_t i = 0; i < zipdir_count(z); i++) {
        char head[PROLOG_MAX];
        ssize_t n = zipdir_peek(z, i, head, sizeof head);
        enum plaintext_prolog prolog = n > 0 ? plaintext_prolog(head, (size_t)n, NULL) : PROLOG_OTHER;

        if (n < 0)
            return (int)n;
        if (prolog == PROLOG_SUBSET || (prolog == PROLOG_UNENDED && memchr(head, '<', (size_t)n)))
            return -EPERM;
    }
    return 0;
}

/* A member that is missing or too large makes the archive something else, not a broken one. */
static int read_member(int fd, const char *name, size_t max, char **ret_data, size_t *ret_len)
{
    _cleanup_(cleanup_zipdir) struct zipdir *z = NULL;
    int r = zipdir_open(fd, &z);

    if (r == 0)
        r = zipdir_read(z, name, max, ret_data, ret_len);
    if (r == 0)
        r = check_parts(z);
    return r == -ENOENT || r == -EFBIG ? -EMEDIUMTYPE : r;
}

/* With a password it is a compound file around the encrypted archive ([MS-OFFCRYPTO] 2.3.2): what is inside
 * only the engine can ask for, so that the extension is believed. */
static int check_ooxml(int fd, const char *markers)
{
    _cleanup_free_ char *types = NULL;
    char first[2];
    size_t len;
    int r = bytes_read_all(fd, 0, first, sizeof first);

    if (r < 0)
        return r;
    if (memcmp(first, "PK", 2) != 0)
        return check_ole(fd, "EncryptedPackage");
    r = read_member(fd, "[Content_Types].xml", CONTENT_TYPES_MAX, &types, &len);
    if (r != 0)
        return r;
    if (memmem(types, len, "<!DOCTYPE", strlen("<!DOCTYPE")))
        return -EMEDIUMTYPE;
    return plaintext_has_attribute(types, len, markers) ? 0 : -EMEDIUMTYPE;
}

static int check_odf(int fd, const char *marker)
{
    _cleanup_free_ char *type = NULL;
    size_t len;
    int r = read_member(fd, "mimetype", MIMETYPE_MAX, &type, &len);

    if (r != 0)
        return r;
    while (len > 0 && strchr("\r\n ", type[len - 1]))
        len--;
    return len == strlen(marker) && memcmp(type, marker, len) == 0 ? 0 : -EMEDIUMTYPE;
}

static int check_text(int fd, enum format_structure structure, const char *markers)
{
    _cleanup_free_ char *data = malloc(TEXT_SAMPLE);
    ssize_t n;
    bool ok;

    if (!data)
        return -ENOMEM;
    n = path_read(fd, 0, data, TEXT_SAMPLE);
    if (n < 0)
        return (int)n;
    ok = plaintext_valid(data, (size_t)n, n < TEXT_SAMPLE);
    if (ok && structure != STRUCTURE_TEXT && plaintext_prolog(data, (size_t)n, NULL) == PROLOG_SUBSET)
        return -EPERM;
    if (structure == STRUCTURE_XML)
        ok = ok && plaintext_prolog(data, (size_t)n, NULL) == PROLOG_ROOT;
    if (structure == STRUCTURE_SVG)
        ok = ok && plaintext_is_svg(data, (size_t)n);
    if (markers)
        ok = ok && plaintext_has_attribute(data, (size_t)n, markers);
    if (!ok)
        return -EMEDIUMTYPE;
    return structure == STRUCTURE_SVG && plaintext_svg_refers_outside(data, (size_t)n) ? -EPERM : 0;
}

static int check_structure(int fd, const struct format *format)
{
    switch (format->structure) {
    case STRUCTURE_NONE:
        return 0;
    case STRUCTURE_OOXML:
        return check_ooxml(fd, format->marker);
    case STRUCTURE_ODF:
        return check_odf(fd, format->marker);
    case STRUCTURE_OLE:
        return check_ole(fd, format->marker);
    case STRUCTURE_TEXT:
    case STRUCTURE_XML:
    case STRUCTURE_SVG:
        return check_text(fd, format->structure, format->marker);
    }
    return -EINVAL;
}

int sniff_text(int fd, const struct format *format)
{
    return format->structure == STRUCTURE_TEXT ? check_text(fd, STRUCTURE_TEXT, format->marker) : -EINVAL;
}

/* Words of `list` that end in a slash stand for all that begin so. */
static bool magic_allowed(const char *list, const char *mime)
{
    const char *word;
    size_t n;

    for (const char *p = list; (p = words_next(p, &word, &n));)
        if (strncmp(word, mime, n) == 0 && (mime[n] == '\0' || word[n - 1] == '/'))
            return true;
    return false;
}

int sniff_check(struct sniffer *s, int fd, const struct format *format, char ret_mime[SNIFF_MIME_MAX])
{
    _cleanup_close_ int own = path_reopen(fd);
    const char *mime;
    struct stat st;
    int r;

    snprintf(ret_mime, SNIFF_MIME_MAX, "application/octet-stream");
    if (own < 0)
        return own;
    if (fstat(own, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    mime = magic_descriptor(s->magic, own);
    if (!mime)
        return -EIO;
    snprintf(ret_mime, SNIFF_MIME_MAX, "%s", mime);
    if (!magic_allowed(format->magic, ret_mime))
        return -EMEDIUMTYPE;
    r = check_structure(own, format);
    if (r == 0 && format->structure != STRUCTURE_NONE)
        format_mime(format, ret_mime);
    return r;
}
