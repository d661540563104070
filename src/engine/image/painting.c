/* Files of paint programs that are ZIP archives: OpenRaster (openraster.org, 0.0.5) and Krita's own. Both
 * hold, beside the layers, the picture as it looks, as mergedimage.png; Krita's may leave it out for its
 * size. */
#include "engine/image/picture.h"

#include <zip.h>

enum { BYTES_MAX = 512 << 20 };

static void destroy_zip(zip_t **zip)
{
    if (*zip)
        zip_discard(*zip);
}

static enum outcome unpack(zip_t *zip, char **ret, size_t *ret_len)
{
    static const char name[] = "mergedimage.png";
    zip_stat_t st;
    zip_file_t *file;
    bool good;

    if (zip_stat(zip, name, ZIP_FL_ENC_RAW, &st) < 0 || !(st.valid & ZIP_STAT_SIZE) || st.size == 0)
        return OUTCOME_CORRUPT_INPUT;
    if (st.size > BYTES_MAX || !(*ret = malloc(st.size)))
        return OUTCOME_TOO_COMPLEX;
    *ret_len = st.size;
    file = zip_fopen(zip, name, ZIP_FL_ENC_RAW);
    good = file && zip_fread(file, *ret, st.size) == (zip_int64_t)st.size;
    if (file && zip_fclose(file) != 0)
        good = false;
    return good ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT;
}

enum outcome image_painting_read(const char *path, VipsImage **ret)
{
    _cleanup_(destroy_zip) zip_t *zip = zip_open(path, ZIP_RDONLY, NULL);
    _cleanup_free_ char *data = NULL;
    size_t len = 0;
    enum outcome outcome = zip ? unpack(zip, &data, &len) : OUTCOME_CORRUPT_INPUT;

    if (outcome != OUTCOME_OK)
        return outcome;
    if (vips_pngload_buffer(data, len, ret, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL))
        return picture_error();
    g_signal_connect_swapped(*ret, "postclose", G_CALLBACK(free), TAKE_PTR(data));
    return picture_check_size(*ret);
}
