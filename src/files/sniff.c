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
#include "files/gzip.h"
#include "files/header.h"
#include "files/ole.h"
#include "files/opc.h"
#include "files/plaintext.h"
#include "files/raster.h"
#include "files/second_kind.h"
#include "files/signature.h"
#include "files/tarball.h"
#include "files/zipdir.h"

#include <ctype.h>
#include <magic.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    MAGIC_SAMPLE = 256 << 10, /* how much libmagic reads; by itself it takes 7 MiB into memory, and four times
                                 that for texts */
    TEXT_SAMPLE = 4 << 20,    /* how much of a text is looked at */
    CONTENT_TYPES_MAX = 1 << 20, /* [Content_Types].xml */
    MIMETYPE_MAX = 256,
    MANIFEST_MAX = 8 << 20,   /* META-INF/manifest.xml: a line for each member */
    PDF_START = 16,           /* where the header of a PDF has to be */
    GZIP_HEAD_MAX = 64 << 10, /* of what is compressed */
    PROLOG_MAX = 8 << 10,     /* how much of each part of a package is searched for its root element */
    ISO_VOLUME = 32 << 10,    /* ECMA-119, 6.2.1: behind sixteen sectors for the system's own use */
};

struct sniffer {
    magic_t magic;
    pthread_mutex_t lock; /* for libmagic, which takes milliseconds; the rest shares nothing */
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
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return 0;
}

void sniffer_free(struct sniffer *s)
{
    if (!s)
        return;
    magic_close(s->magic);
    pthread_mutex_destroy(&s->lock);
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

/* One of the `|`-separated streams is there, at the top? */
static bool has_stream(const struct ole *o, const char *streams)
{
    for (const char *p = streams; *p; p += *p == '|') {
        char name[32];
        size_t n = strcspn(p, "|");

        snprintf(name, sizeof name, "%.*s", (int)n, p);
        if (ole_has_stream(o, name))
            return true;
        p += n;
    }
    return false;
}

/* A document has the streams of one kind: with those of two, programs would see different ones. */
static int check_ole(int fd, const char *streams)
{
    _cleanup_(cleanup_ole) struct ole *o = NULL;
    int r = ole_open(fd, &o);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n_formats; i++)
        if (formats[i].structure == STRUCTURE_OLE && !str_eq(formats[i].marker, streams) &&
            has_stream(o, formats[i].marker))
            return -EMEDIUMTYPE;
    return has_stream(o, streams) ? 0 : -EMEDIUMTYPE;
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

/* Macros may be in the formats that are named for them, as in Word itself. */
static int check_macros(struct zipdir *z, const char *main_types)
{
    _cleanup_free_ char *types = NULL;
    size_t len;
    int r;

    if (strstr(main_types, "macroEnabled"))
        return 0;
    r = zipdir_read(z, "[Content_Types].xml", CONTENT_TYPES_MAX, &types, &len);
    if (r < 0)
        return r;
    return plaintext_has_attribute(types, len, "application/vnd.ms-office.vbaProject") ? -EMEDIUMTYPE : 0;
}

/* With a password it is a compound file around the encrypted archive ([MS-OFFCRYPTO] 2.3.2): what is inside
 * only the engine can ask for, so that the extension is believed. */
static int check_ooxml(int fd, const char *main_types)
{
    _cleanup_(cleanup_zipdir) struct zipdir *z = NULL;
    char first[2];
    int r = bytes_read_all(fd, 0, first, sizeof first);

    if (r < 0)
        return r;
    if (memcmp(first, "PK", 2) != 0)
        return check_ole(fd, "EncryptedPackage");
    r = zipdir_open(fd, &z);
    if (r == 0)
        r = check_parts(z);
    if (r == 0)
        r = opc_check(z, main_types);
    return r == 0 ? check_macros(z, main_types) : r;
}

/* The member that lists what is in the package, or that all the rest hangs on, and what it says: a root
 * element or the value of an attribute. OpenDocument names its type. */
static const struct listing {
    const char *type, *member, *root, *value;
} listings[] = {
    {"application/epub+zip", "META-INF/container.xml", NULL, "application/oebps-package+xml"},
    {"image/openraster", "stack.xml", "image", NULL},
    {"application/x-krita", "maindoc.xml", "DOC", NULL},
};
static const struct listing document = {NULL, "META-INF/manifest.xml", NULL, NULL};

static const struct listing *find_listing(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(listings); i++)
        if (str_eq(listings[i].type, type))
            return &listings[i];
    return &document;
}

static bool is_listed(const struct listing *l, const char *type, const char *list, size_t len)
{
    return l->root ? plaintext_has_root(list, len, l->root)
                   : plaintext_has_attribute(list, len, l->value ? l->value : type);
}

/* The type is the first member, readable as it is (OpenDocument 1.3 part 2, 3.3; OCF 3.3, 4.3), and what
 * lists the others agrees. */
static int check_odf(int fd, const char *type)
{
    const struct listing *listing = find_listing(type);
    _cleanup_(cleanup_zipdir) struct zipdir *z = NULL;
    _cleanup_free_ char *said = NULL, *list = NULL;
    size_t len = 0, list_len = 0;
    int r = zipdir_open(fd, &z);

    if (r < 0)
        return r;
    if (!zipdir_begins_with(z, "mimetype"))
        return -EMEDIUMTYPE;
    r = zipdir_read(z, "mimetype", MIMETYPE_MAX, &said, &len);
    if (r == 0)
        r = zipdir_read(z, listing->member, MANIFEST_MAX, &list, &list_len);
    if (r < 0)
        return r;
    while (len > 0 && strchr("\r\n ", said[len - 1]))
        len--;
    if (len != strlen(type) || memcmp(said, type, len) != 0 || !is_listed(listing, type, list, list_len))
        return -EMEDIUMTYPE;
    return check_parts(z);
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
    if (ok && structure != STRUCTURE_TEXT && structure != STRUCTURE_LINES &&
        plaintext_prolog(data, (size_t)n, NULL) == PROLOG_SUBSET)
        return -EPERM;
    if (structure == STRUCTURE_XML)
        ok = ok && plaintext_prolog(data, (size_t)n, NULL) == PROLOG_ROOT;
    if (structure == STRUCTURE_SVG)
        ok = ok && plaintext_has_root(data, (size_t)n, "svg");
    if (structure == STRUCTURE_HTML)
        ok = ok && plaintext_is_html(data, (size_t)n);
    if (structure == STRUCTURE_LINES)
        return ok && plaintext_has_line(data, (size_t)n, markers) ? 0 : -EMEDIUMTYPE;
    if (structure == STRUCTURE_ROOT)
        ok = ok && plaintext_has_root(data, (size_t)n, markers);
    else if (markers)
        ok = ok && plaintext_has_attribute(data, (size_t)n, markers);
    if (!ok)
        return -EMEDIUMTYPE;
    return structure == STRUCTURE_SVG && plaintext_svg_refers_outside(data, (size_t)n) ? -EPERM : 0;
}

/* `marker` is a signature, or the name of a root element. */
static int check_gzip(int fd, const char *marker)
{
    _cleanup_free_ char *head = malloc(GZIP_HEAD_MAX);
    ssize_t n = head ? gzip_peek(fd, head, GZIP_HEAD_MAX) : -ENOMEM;

    if (n < 0)
        return (int)n;
    if (isdigit((unsigned char)*marker))
        return signature_matches(marker, (unsigned char *)head, (size_t)n) ? 0 : -EMEDIUMTYPE;
    if (plaintext_prolog(head, (size_t)n, NULL) == PROLOG_SUBSET)
        return -EPERM;
    return plaintext_has_root(head, (size_t)n, marker) ? 0 : -EMEDIUMTYPE;
}

/* What ends at `end` is one thing, in front and behind. */
static int check_single(struct window *w, uint64_t end)
{
    int r = second_kind_pdf_ahead(w);

    return r == 0 ? second_kind_behind(w, end) : r;
}

static int check_raster(struct window *w, const char *id)
{
    uint64_t end;
    int r = raster_check(w, id, &end);

    return r == 0 ? check_single(w, end) : r;
}

/* Some programs write a byte order mark or an empty line first; readers that take any junk there see PDF in
 * what is something else. */
static int check_pdf(struct window *w)
{
    size_t n = w->size < PDF_START ? (size_t)w->size : PDF_START;
    const unsigned char *p = window_at(w, 0, n), *end;
    uint64_t ends;
    int r;

    if (!p)
        return -EIO;
    end = p + n;
    if (n > 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (p < end && isspace(*p))
        p++;
    if (end - p < 7 || memcmp(p, "%PDF-", 5) != 0 || !isdigit(p[5]))
        return -EMEDIUMTYPE;
    r = second_kind_pdf_end(w, &ends);
    return r == 0 ? second_kind_behind(w, ends) : r;
}

static int check_signature(struct window *w, const char *signature)
{
    size_t n = w->size < SIGNATURE_MAX ? (size_t)w->size : SIGNATURE_MAX;
    const unsigned char *p = window_at(w, 0, n);

    if (!p)
        return -EIO;
    return signature_matches(signature, p, n) ? 0 : -EMEDIUMTYPE;
}

static int check_iso(struct window *w)
{
    static const char volume[] = "CD001\1"; /* … and the version */
    const unsigned char *p = window_at(w, ISO_VOLUME, sizeof volume);

    return p && p[0] <= 3 && memcmp(p + 1, volume, sizeof volume - 1) == 0 ? 0 : -EMEDIUMTYPE;
}

/* What an archive holds as it is may begin anywhere; a second archive that ends with the file may not. */
static int check_archive(struct window *w, const struct format *format)
{
    int r = 0;

    if (format->marker)
        r = check_signature(w, format->marker);
    if (r == 0 && format->structure == STRUCTURE_TAR)
        r = tarball_check(w);
    if (r == 0 && format->structure == STRUCTURE_TAR_GZ)
        r = tarball_check_gzip(w);
    if (r == 0 && format->structure == STRUCTURE_ISO)
        r = check_iso(w);
    return r == 0 ? second_kind_behind(w, UINT64_MAX) : r;
}

static bool is_archive(const struct format *format)
{
    return format->structure == STRUCTURE_ARCHIVE || format->structure == STRUCTURE_TAR ||
           format->structure == STRUCTURE_TAR_GZ || format->structure == STRUCTURE_ISO;
}

/* Those that have a ZIP around them are checked for what surrounds it by zipdir_open(). */
static int check_other(int fd, const struct format *format)
{
    _cleanup_free_ struct window *w = calloc(1, sizeof *w);
    int r = w ? window_init(w, fd) : -ENOMEM;

    if (r < 0)
        return r;
    if (format->structure == STRUCTURE_RASTER)
        return check_raster(w, format->id);
    if (format->structure == STRUCTURE_PDF)
        return check_pdf(w);
    if (format->structure == STRUCTURE_HEADER)
        return header_adds_up(w, format->id) ? check_single(w, UINT64_MAX) : -EMEDIUMTYPE;
    if (format->structure == STRUCTURE_SIGNATURE) {
        r = check_signature(w, format->marker);
        return r == 0 ? check_single(w, UINT64_MAX) : r;
    }
    if (is_archive(format))
        return check_archive(w, format);
    return second_kind_behind(w, UINT64_MAX);
}

static int check_structure(int fd, const struct format *format)
{
    int r = 0;

    switch (format->structure) {
    case STRUCTURE_ZIP:
        return zipdir_check(fd, format->marker);
    case STRUCTURE_OOXML:
        r = check_ooxml(fd, format->marker);
        return r == -ENOENT || r == -EFBIG ? -EMEDIUMTYPE : r;
    case STRUCTURE_ODF:
        r = check_odf(fd, format->marker);
        return r == -ENOENT || r == -EFBIG ? -EMEDIUMTYPE : r;
    case STRUCTURE_OLE:
        r = check_ole(fd, format->marker);
        break;
    case STRUCTURE_GZIP:
        r = check_gzip(fd, format->marker);
        break;
    case STRUCTURE_TEXT:
    case STRUCTURE_LINES:
    case STRUCTURE_HTML:
    case STRUCTURE_XML:
    case STRUCTURE_ROOT:
    case STRUCTURE_SVG:
        r = check_text(fd, format->structure, format->marker);
        break;
    case STRUCTURE_RTF:
    case STRUCTURE_RASTER:
    case STRUCTURE_PDF:
    case STRUCTURE_HEADER:
    case STRUCTURE_SIGNATURE:
    case STRUCTURE_ARCHIVE:
    case STRUCTURE_TAR:
    case STRUCTURE_TAR_GZ:
    case STRUCTURE_ISO:
        break;
    }
    return r < 0 ? r : check_other(fd, format);
}

int sniff_text(int fd, const struct format *format)
{
    bool text = format->structure == STRUCTURE_TEXT || format->structure == STRUCTURE_HTML;

    return text ? check_text(fd, format->structure, format->marker) : -EINVAL;
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

static int ask_magic(struct sniffer *s, int fd, char ret_mime[SNIFF_MIME_MAX])
{
    const char *mime;

    pthread_mutex_lock(&s->lock);
    mime = magic_descriptor(s->magic, fd);
    if (mime)
        snprintf(ret_mime, SNIFF_MIME_MAX, "%s", mime);
    pthread_mutex_unlock(&s->lock);
    return mime ? 0 : -EIO;
}

int sniff_check(struct sniffer *s, int fd, const struct format *format, char ret_mime[SNIFF_MIME_MAX])
{
    _cleanup_close_ int own = path_reopen(fd);
    struct stat st;
    int r;

    snprintf(ret_mime, SNIFF_MIME_MAX, "application/octet-stream");
    if (own < 0)
        return own;
    if (fstat(own, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    r = ask_magic(s, own, ret_mime);
    if (r < 0)
        return r;
    if (!magic_allowed(format->magic, ret_mime))
        return -EMEDIUMTYPE;
    r = check_structure(own, format);
    if (r == 0 && format->structure != STRUCTURE_RTF)
        format_mime(format, ret_mime);
    return r;
}

const char *sniff_refusal(int err)
{
    switch (err) {
    case -EMEDIUMTYPE:
    case -EBADMSG:
        return "The content of the file is not what its extension says.";
    case -EPERM:
        return "The file declares XML entities or refers to other files or addresses, which is refused for "
               "safety. Put into the file what it refers to.";
    case -ENOTUNIQ:
        return "The file is of two kinds at once: an archive, a program, a page or a script is in front of "
               "it or behind it, which is refused for safety. Save it again with the program that made it.";
    default:
        return NULL;
    }
}
