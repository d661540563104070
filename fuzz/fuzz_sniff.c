/* The type checks of uploads. An input is any file: each container parser sees it directly, and then the
 * whole check for every format, with a libmagic that agrees. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "files/ole.h"
#include "files/opc.h"
#include "files/plaintext.h"
#include "files/raster.h"
#include "files/second_kind.h"
#include "files/sniff.h"
#include "files/zipdir.h"

#include <errno.h>
#include <magic.h>
#include <sys/mman.h>

enum { MEMBER_MAX = 1 << 16, PEEK = 4096, LARGE = 16 << 20 };

static void parse_zip(int fd)
{
    static const char *const names[] = {"[Content_Types].xml", "mimetype", "a", ""};
    struct zipdir *z;

    if (zipdir_open(fd, &z) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *content = NULL;
        size_t len = 0;

        if (zipdir_read(z, names[i], MEMBER_MAX, &content, &len) == 0)
            require(len <= MEMBER_MAX && content[len] == '\0');
    }
    if (opc_check(z, "a|b") == 0)
        require(zipdir_count(z) > 1);
    zipdir_close(z);
}

static void parse_pictures(int fd)
{
    static struct window w;
    uint64_t end;

    require(window_init(&w, fd) == 0);
    for (size_t i = 0; i < n_formats; i++)
        if (formats[i].structure == STRUCTURE_RASTER && raster_check(&w, formats[i].id, &end) == 0)
            require(end == RASTER_END_UNKNOWN || end <= w.size);
    require(second_kind_pdf_end(&w, &end) == 0 && (end == UINT64_MAX || end <= w.size));
    require(second_kind_behind(&w, end) != -EIO);
}

static void parse_ole(int fd)
{
    struct ole *o;

    if (ole_open(fd, &o) < 0)
        return;
    /* names are compared without case */
    require(ole_has_stream(o, "WordDocument") == ole_has_stream(o, "wORDdOCUMENT"));
    require(!ole_has_stream(o, "0123456789012345678901234567890123456789"));
    ole_has_stream(o, "EncryptedPackage");
    ole_close(o);
}

/* As the beginning of a large file as well, the rest of which is zeros: only there a compound file has so
 * many sectors that it takes more than its header to find them. */
static void parse_large_ole(int fd, const uint8_t *data, size_t size)
{
    if (size < 8 || memcmp(data, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) != 0)
        return;
    require(ftruncate(fd, LARGE) == 0);
    parse_ole(fd);
    require(ftruncate(fd, (off_t)size) == 0);
}

/* An attribute's value stands in quotes. */
static bool has_value(const char *text, size_t size, const char *value)
{
    bool found = false;

    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *quoted = NULL;

        require(asprintf(&quoted, "%c%s%c", "\"'"[i], value, "\"'"[i]) > 0);
        found |= memmem(text, size, quoted, strlen(quoted)) != NULL;
    }
    return found;
}

/* A line is told by its beginning, so that one in the beginning of a text is one in the text. */
static void parse_lines(const char *text, size_t size)
{
    require(!plaintext_has_line(text, size, "^WEBVTT") || plaintext_has_line(text, size, "webvtt"));
    for (size_t i = 0; i < n_formats; i++)
        if (formats[i].structure == STRUCTURE_LINES && size >= 8 &&
            plaintext_has_line(text, size / 2, formats[i].marker))
            require(plaintext_has_line(text, size, formats[i].marker));
}

static void parse_text(const char *text, size_t size)
{
    static const char odt[] = "application/vnd.oasis.opendocument.text";
    const char *root = NULL;
    enum plaintext_prolog prolog = plaintext_prolog(text, size, &root), begun;

    require(!root || (root > text && root < text + size && root[-1] == '<'));
    require(!plaintext_has_root(text, size, "svg") || prolog == PROLOG_ROOT);
    require(plaintext_has_attribute(text, size, "a|application/vnd.oasis.opendocument.text") ==
            (has_value(text, size, "a") || has_value(text, size, odt)));
    plaintext_svg_refers_outside(text, size);
    parse_lines(text, size);

    /* What the beginning has decided stands, whatever follows; and the beginning of a text is one. */
    if (size >= 8 && (begun = plaintext_prolog(text, size / 2, NULL)) != PROLOG_UNENDED)
        require(begun == prolog);
    if (plaintext_valid(text, size, true))
        require(plaintext_valid(text, size / 2, false));
}

static const char *magic_says = "application/octet-stream";

/* libmagic takes milliseconds, and would keep most inputs from what comes after it. */
const char *magic_descriptor(magic_t magic, int fd)
{
    return magic_says;
}

static bool looks_for_text(const struct format *f)
{
    return f->structure >= STRUCTURE_TEXT && f->structure <= STRUCTURE_SVG;
}

static void require_no_subset(int fd)
{
    struct zipdir *z;

    if (zipdir_open(fd, &z) < 0)
        return; /* encrypted: a compound file */
    for (size_t i = 0; i < zipdir_count(z); i++) {
        char head[PEEK];
        ssize_t n = zipdir_peek(z, i, head, sizeof head);

        require(n >= 0 && (n == 0 || plaintext_prolog(head, (size_t)n, NULL) != PROLOG_SUBSET));
    }
    zipdir_close(z);
}

/* As a quarter of the containers and one of the kinds of text, which take long: where libmagic has nothing
 * against it. */
static void check_all(int fd, size_t chosen)
{
    static struct sniffer *sniffer;
    char mime[SNIFF_MIME_MAX], own[128], allowed[128];

    require(sniffer || sniffer_new(&sniffer) == 0);
    for (size_t i = 0; i < n_formats; i++) {
        const struct format *f = &formats[i];
        size_t n = strcspn(f->magic, " ");
        int r;

        if (f->structure == STRUCTURE_ZIP || f->structure == STRUCTURE_RTF ||
            (looks_for_text(f) ? i != chosen : (i + chosen) % 4 != 0))
            continue;
        snprintf(allowed, sizeof allowed, "%.*s", (int)n, f->magic);
        magic_says = allowed;
        r = sniff_check(sniffer, fd, f, mime);
        format_mime(f, own);
        require(strcmp(mime, r == 0 ? own : allowed) == 0);
        if (r == 0 && (f->structure == STRUCTURE_OOXML || f->structure == STRUCTURE_ODF))
            require_no_subset(fd);
        if (r == 0 && (f->structure == STRUCTURE_TEXT || f->structure == STRUCTURE_HTML))
            require(sniff_text(fd, f) == 0);
        magic_says = "application/x-other";
        require(sniff_check(sniffer, fd, f, mime) == -EMEDIUMTYPE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one for all: making one takes as long as parsing */

    if (fd < 0)
        fd = memfd_create("input", MFD_CLOEXEC);
    require(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    parse_zip(fd);
    parse_ole(fd);
    parse_pictures(fd);
    parse_large_ole(fd, data, size);
    parse_text((const char *)data, size);
    check_all(fd, size % n_formats);
    require(lseek(fd, 0, SEEK_CUR) == 0);
    return 0;
}
