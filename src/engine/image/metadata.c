/* What a result tells besides its pixels: when a picture was taken, with what, and whose it is, as short
 * plain words. The rest is left behind. Part of it is nobody's business who gets the result (where the
 * picture was taken, the maker's notes, a thumbnail of what was cut away), and in the rest anything can hide,
 * also a program for somebody else's server. Blocks are not copied but written anew from these words. */
#include "engine/image/picture.h"

#include "core/str.h"

#include <ctype.h>
#include <string.h>

enum { VALUE_MAX = 512 };

static const char kept_tags[] =
    "exif-ifd0-Make exif-ifd0-Model exif-ifd0-DateTime exif-ifd0-Artist exif-ifd0-Copyright "
    "exif-ifd2-DateTimeOriginal exif-ifd2-DateTimeDigitized exif-ifd2-SubSecTimeOriginal "
    "exif-ifd2-ExposureTime exif-ifd2-FNumber exif-ifd2-ExposureProgram exif-ifd2-ISOSpeedRatings "
    "exif-ifd2-ExposureBiasValue exif-ifd2-MeteringMode exif-ifd2-Flash exif-ifd2-FocalLength "
    "exif-ifd2-FocalLengthIn35mmFilm exif-ifd2-WhiteBalance exif-ifd2-ExposureMode";
/* Blocks, texts and thumbnails, by the beginnings of libvips' names. */
static const char *const dropped[] = {"exif-",      "xmp-",  "iptc-",        "icc-profile-data",
                                      "photoshop-", "jpeg-", "png-comment-", "gif-comment",
                                      "heif-",      "tiff-", "magick-"};

/* Letters, digits and what names and dates are written with. */
static bool is_plain(const char *value)
{
    if (strlen(value) > VALUE_MAX)
        return false;
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        if (*p < 0x80 && !isalnum(*p) && !strchr(" .,:-_/+()&'@", *p))
            return false;
    return true;
}

static bool is_kept(VipsImage *image, const char *name)
{
    const char *value;

    return words_have(kept_tags, name) && vips_image_get_string(image, name, &value) == 0 && is_plain(value);
}

struct names {
    GPtrArray *list;
    bool keep;
};

static void *collect(VipsImage *image, const char *name, GValue *value, void *a)
{
    struct names *names = a;

    for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
        if (str_starts(name, dropped[i]) && !(names->keep && is_kept(image, name)))
            g_ptr_array_add(names->list, g_strdup(name));
    return NULL;
}

void picture_forget_metadata(VipsImage *image, bool keep)
{
    struct names names = {g_ptr_array_new_with_free_func(g_free), keep};

    vips_image_map(image, collect, &names);
    for (guint i = 0; i < names.list->len; i++)
        vips_image_remove(image, g_ptr_array_index(names.list, i));
    g_ptr_array_free(names.list, TRUE);
    vips_error_clear();
}

/* A segment of `size` bytes with its marker. Of those of applications two tell how colours are coded (JFIF
 * without a thumbnail, and Adobe's), and both have a fixed size. */
static bool is_needed(const unsigned char *segment, size_t size)
{
    enum { COMMENT = 0xfe, APP0 = 0xe0, APP14 = 0xee, APP15 = 0xef };

    if (segment[1] == APP0)
        return size == 18 && memcmp(segment + 4, "JFIF", 5) == 0;
    if (segment[1] == APP14)
        return size == 16 && memcmp(segment + 4, "Adobe", 5) == 0;
    return segment[1] != COMMENT && !(segment[1] > APP0 && segment[1] <= APP15);
}

size_t picture_strip_jpeg(unsigned char *data, size_t len)
{
    size_t from = 2, to = 2;

    while (from + 4 <= len && data[from] == 0xff) {
        unsigned char marker = data[from + 1];
        size_t size = 2 + ((size_t)data[from + 2] << 8 | data[from + 3]);

        if (marker == 0xff) {
            from++;
            continue;
        }
        if (marker == 0xd9 || size > len - from)
            break;
        if (marker == 0xda) /* and what is coded behind it, to the next marker */
            while (from + size + 2 <= len && (data[from + size] != 0xff || data[from + size + 1] == 0 ||
                                              (data[from + size + 1] & 0xf8) == 0xd0))
                size++;
        if (is_needed(data + from, size)) {
            memmove(data + to, data + from, size);
            to += size;
        }
        from += size;
    }
    if (to + 2 > len)
        return len;
    memcpy(data + to, "\xff\xd9", 2);
    return to + 2;
}
