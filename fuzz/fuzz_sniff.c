/* The type checks of uploads. An input is any file: each container parser sees it directly, so that
 * libmagic's word keeps nothing from them, and then the whole check for one format: libmagic takes long. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "files/ole.h"
#include "files/opc.h"
#include "files/plaintext.h"
#include "files/raster.h"
#include "files/second_kind.h"
#include "files/sniff.h"
#include "files/zipdir.h"

#include <sys/mman.h>

enum { MEMBER_MAX = 1 << 16 };

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
    static const char *const ids[] = {"png", "jpg", "gif",  "webp", "bmp", "ico", "psd",
                                      "tga", "ppm", "tiff", "heic", "jp2", "jxl"};
    static struct window w;
    uint64_t end;

    require(window_init(&w, fd) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        if (raster_check(&w, ids[i], &end) == 0)
            require(end == RASTER_END_UNKNOWN || end <= w.size);
    require(second_kind_pdf_end(&w, &end) == 0 && (end == UINT64_MAX || end <= w.size));
    require(second_kind_behind(&w, end) != -EIO);
}

static void parse_ole(int fd)
{
    struct ole *o;

    if (ole_open(fd, &o) < 0)
        return;
    ole_has_stream(o, "WordDocument");
    ole_has_stream(o, "");
    ole_close(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sniffer *sniffer;
    _cleanup_close_ int fd = memfd_create("input", MFD_CLOEXEC);
    const char *text = (const char *)data;
    char mime[SNIFF_MIME_MAX];

    require(sniffer || sniffer_new(&sniffer) == 0);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    parse_zip(fd);
    parse_ole(fd);
    parse_pictures(fd);
    plaintext_is_html(text, size);
    plaintext_is_svg(text, size);
    plaintext_has_attribute(text, size, "a|application/vnd.oasis.opendocument.text");
    /* The beginning of a text is one. */
    if (plaintext_valid(text, size, true))
        require(plaintext_valid(text, size, false) || (size > 0 && data[size - 1] == 0x1a));
    if (sniff_check(sniffer, fd, &formats[size % n_formats], mime) == 0)
        require(size > 0);
    require(strlen(mime) > 0 && strchr(mime, '/'));
    require(lseek(fd, 0, SEEK_CUR) == (off_t)size);
    return 0;
}
