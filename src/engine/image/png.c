/* PNG on all cores.
 *
 * libpng packs a picture on one core and filters all of its lines, or none: filters make photos a quarter
 * smaller, and drawings and scans of text up to a third larger. Here the picture is cut into strips of lines.
 * Each is filtered and deflated by a thread of its own and ends on a whole byte (a sync flush), so that all
 * of them join to the one zlib stream that PNG wants (RFC 1950 and 1951; PNG, second edition, clauses 9 and
 * 10). A strip packs a few of its lines in all ways first and takes the best one. That strips don't see each
 * other's history costs less than a hundredth.
 *
 * What else the file says (resolution, EXIF, XMP, texts) is left to libvips: it saves one pixel with the same
 * metadata, and its chunks are taken over, with the picture's size in EXIF put right.
 *
 * vips_sink_disc() hands lines over on two threads, but never on both at once. They fill the strips in turn
 * and write them in the same order; a strip's own thread shares nothing with the others, so there is no lock.
 */
#include "engine/image/picture.h"

#include "core/str.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum {
    STRIP_BYTES_MIN = 256 << 10,
    STRIP_BYTES_MAX = 512 << 10,
    STRIPS_MAX = 9, /* eight at work while one is filled */
    TRIAL_BYTES = 20 << 10,
};

/* How lines can be packed, the cheapest first. A dearer way must save a twentieth: level 6 makes drawings a
 * fifth smaller, scans and photos hardly at all. */
static const struct way {
    bool filtered;
    int level, strategy;
} ways[] = {{true, 2, Z_FILTERED}, {false, 3, Z_DEFAULT_STRATEGY}, {false, 6, Z_DEFAULT_STRATEGY}};
enum { DEARER = 2 };

struct strip {
    pthread_t thread;
    bool running;
    unsigned char *lines; /* the first is the one above the strip */
    size_t n_lines, line_len, pixel_len;
    bool last;
    /* its thread's */
    z_stream z;
    unsigned char *filtered, *packed;
    size_t room, packed_len;
    uLong adler;
    int error;
};

struct png {
    FILE *file;
    struct strip strips[STRIPS_MAX];
    size_t n_strips, current;
    size_t lines_each, lines_left;
    bool swap; /* PNG is big-endian */
    bool begun;
    uLong adler;
};

/* --- a strip, in its own thread */

static unsigned cost_of(unsigned char difference)
{
    return difference < 128 ? difference : 256U - difference;
}

/* The filter whose differences are the smaller ones in sum, as the standard advises: by the pixel at the left
 * or by the one above. Paeth's and the average make photos 4 % smaller in a quarter more time, level 3
 * instead of 2 makes them 5 % smaller in a third more. */
static void filter_line(const unsigned char *line, const unsigned char *above, size_t len, size_t pixel_len,
                        unsigned char *to)
{
    enum { SUB = 1, UP = 2 };
    unsigned sub = 0, up = 0;

    for (size_t i = 0; i < len; i++)
        up += cost_of((unsigned char)(line[i] - above[i]));
    for (size_t i = pixel_len; i < len; i++)
        sub += cost_of((unsigned char)(line[i] - line[i - pixel_len]));
    *to++ = up <= sub ? UP : SUB;
    if (up <= sub) {
        for (size_t i = 0; i < len; i++)
            to[i] = (unsigned char)(line[i] - above[i]);
        return;
    }
    memcpy(to, line, pixel_len);
    for (size_t i = pixel_len; i < len; i++)
        to[i] = (unsigned char)(line[i] - line[i - pixel_len]);
}

/* Lines with their filter's number in front. */
static size_t filter(const struct strip *s, const struct way *way, size_t first, size_t n)
{
    size_t len = s->line_len;
    unsigned char *to = s->filtered;

    for (size_t i = first; i < first + n; i++, to += len + 1) {
        const unsigned char *above = s->lines + i * len, *line = above + len;

        if (way->filtered) {
            filter_line(line, above, len, s->pixel_len, to);
        } else {
            *to = 0;
            memcpy(to + 1, line, len);
        }
    }
    return n * (len + 1);
}

static int pack(struct strip *s, const struct way *way, size_t len, bool last)
{
    z_stream *z = &s->z;
    int status;

    if (deflateReset(z) != Z_OK || deflateParams(z, way->level, way->strategy) != Z_OK)
        return -EIO;
    z->next_in = s->filtered;
    z->avail_in = (uInt)len;
    z->next_out = s->packed;
    z->avail_out = (uInt)s->room;
    status = deflate(z, last ? Z_FINISH : Z_SYNC_FLUSH);
    s->packed_len = z->total_out;
    return status == (last ? Z_STREAM_END : Z_OK) && z->avail_in == 0 ? 0 : -EIO;
}

/* The best way for a few lines from the middle. */
static int find_way(struct strip *s, const struct way **ret)
{
    size_t n = MIN(s->n_lines, (TRIAL_BYTES - 1) / s->line_len + 1), best = 0;

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        int r = pack(s, &ways[i], filter(s, &ways[i], (s->n_lines - n) / 2, n), false);

        if (r < 0)
            return r;
        if (i == 0 || s->packed_len < (i < DEARER ? best : best - best / 20)) {
            best = s->packed_len;
            *ret = &ways[i];
        }
    }
    return 0;
}

/* For the largest strip, which is the first one. */
static int make_room(struct strip *s)
{
    size_t len = (s->line_len + 1) * s->n_lines;

    if (s->packed)
        return 0;
    s->room = compressBound(len) + 64; /* which leaves a sync flush out of account */
    s->filtered = malloc(len);
    s->packed = malloc(s->room);
    return s->filtered && s->packed &&
                   deflateInit2(&s->z, 1, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK
               ? 0
               : -ENOMEM;
}

static int pack_strip(struct strip *s)
{
    const struct way *way = NULL;
    size_t len;
    int r = make_room(s);

    if (r == 0)
        r = find_way(s, &way);
    if (r < 0)
        return r;
    len = filter(s, way, 0, s->n_lines);
    s->adler = adler32_z(adler32_z(0, NULL, 0), s->filtered, len);
    return pack(s, way, len, s->last);
}

static void *run_strip(void *strip)
{
    struct strip *s = strip;

    s->error = pack_strip(s);
    return NULL;
}

/* --- the file */

static int write_chunk(struct png *png, const char *type, const unsigned char *data, size_t len)
{
    uLong crc = crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)type, 4);
    uint32_t head = htobe32((uint32_t)len), tail;

    if (len > 0) /* zlib begins anew where there are no bytes */
        crc = crc32_z(crc, data, len);
    tail = htobe32((uint32_t)crc);
    if (fwrite(&head, sizeof head, 1, png->file) != 1 || fwrite(type, 4, 1, png->file) != 1 ||
        fwrite(data, 1, len, png->file) != len || fwrite(&tail, sizeof tail, 1, png->file) != 1)
        return -EIO;
    return 0;
}

/* The strip's bytes go into the file; the first begin, and the last end, with what zlib's format has around
 * deflate's. */
static int write_strip(struct png *png, struct strip *s)
{
    static const unsigned char zlib_head[] = {0x78, 0x5e};
    size_t filtered_len = (s->line_len + 1) * s->n_lines;
    uint32_t tail;
    int r = s->error;

    if (r == 0 && !png->begun)
        r = write_chunk(png, "IDAT", zlib_head, sizeof zlib_head);
    png->begun = true;
    if (r == 0)
        r = write_chunk(png, "IDAT", s->packed, s->packed_len);
    if (r < 0)
        return r;
    png->adler = adler32_combine(png->adler, s->adler, (z_off_t)filtered_len);
    tail = htobe32((uint32_t)png->adler);
    if (s->last && (write_chunk(png, "IDAT", (const unsigned char *)&tail, sizeof tail) < 0 ||
                    write_chunk(png, "IEND", zlib_head, 0) < 0))
        return -EIO;
    return 0;
}

/* Waits for the strip's thread, and leaves the strip empty. */
static int finish_strip(struct png *png, struct strip *s, bool write)
{
    int r = 0;

    if (s->running) {
        pthread_join(s->thread, NULL);
        s->running = false;
        r = write ? write_strip(png, s) : 0;
    }
    s->n_lines = 0;
    return r;
}

/* Sends the strip that is full on its way, and makes room for the next, which begins with its last line. */
static int turn(struct png *png)
{
    struct strip *full = &png->strips[png->current], *next;
    int r;

    png->current = (png->current + 1) % png->n_strips;
    next = &png->strips[png->current];
    r = finish_strip(png, next, true);
    if (r < 0)
        return r;
    memcpy(next->lines, full->lines + full->n_lines * full->line_len, full->line_len);
    full->last = png->lines_left == 0;
    r = -pthread_create(&full->thread, NULL, run_strip, full);
    full->running = r == 0;
    return r;
}

static void copy_line(const struct png *png, const void *from, void *to, size_t len)
{
    if (png->swap)
        for (size_t i = 0; i < len / 2; i++)
            ((uint16_t *)to)[i] = htobe16(((const uint16_t *)from)[i]);
    else
        memcpy(to, from, len);
}

static int take_lines(VipsRegion *region, VipsRect *area, void *arg)
{
    struct png *png = arg;

    for (int y = area->top; y < area->top + area->height; y++) {
        struct strip *s = &png->strips[png->current];
        int r = 0;

        copy_line(png, VIPS_REGION_ADDR(region, 0, y), s->lines + ++s->n_lines * s->line_len, s->line_len);
        if (--png->lines_left == 0 || s->n_lines == png->lines_each)
            r = turn(png);
        if (r < 0) {
            vips_error("png", r == -ENOMEM || r == -EAGAIN ? "out of memory" : "write failed");
            return -1;
        }
    }
    return 0;
}

/* --- the chunks before the pixels */

static int generate_nothing(VipsRegion *to, void *sequence, void *a, void *b, gboolean *stop)
{
    vips_region_black(to);
    return 0;
}

static void *find_exif(VipsImage *image, const char *name, GValue *value, void *a)
{
    return str_starts(name, "exif-ifd") ? image : NULL;
}

/* Where there is no block of EXIF, libvips' writer of PNG (8.14) makes none of the values that it has: an
 * empty one, for it to fill. */
static void begin_exif(VipsImage *image)
{
    static const char empty[] = "Exif\0\0"
                                "II*\0\10\0\0\0"
                                "\0\0"
                                "\0\0\0\0";

    if (vips_image_map(image, find_exif, NULL))
        vips_image_set_blob_copy(image, VIPS_META_EXIF_NAME, empty, sizeof empty - 1);
}

static size_t little16(const unsigned char *p)
{
    return p[0] | (size_t)p[1] << 8;
}

static size_t little32(const unsigned char *p)
{
    return little16(p) | little16(p + 2) << 16;
}

/* The entry of `tag` in the directory at `at` (TIFF 6.0 section 2), or NULL. */
static unsigned char *find_entry(unsigned char *exif, size_t len, size_t at, unsigned tag)
{
    enum { ENTRY = 12 };

    if (at > len || len - at < 2)
        return NULL;
    for (size_t n = little16(exif + at), entry = at + 2; n > 0 && entry + ENTRY <= len; n--, entry += ENTRY)
        if (little16(exif + entry) == tag)
            return exif + entry;
    return NULL;
}

/* PixelXDimension and PixelYDimension (EXIF 2.3 section 4.6.5) of what was saved with one pixel. */
static void put_size_into_exif(unsigned char *exif, size_t len, const VipsImage *image)
{
    enum { DIRECTORY = 4, VALUE = 8, CAMERA = 0x8769, WIDTH = 0xa002, HEIGHT = 0xa003 };
    const uint32_t size[] = {htole32((uint32_t)image->Xsize), htole32((uint32_t)image->Ysize)};
    unsigned char *camera, *entry;

    if (len < VALUE || memcmp(exif, "II*\0", 4) != 0)
        return;
    camera = find_entry(exif, len, little32(exif + DIRECTORY), CAMERA);
    for (unsigned i = 0; camera && i < ARRAY_SIZE(size); i++) {
        entry = find_entry(exif, len, little32(camera + VALUE), i == 0 ? WIDTH : HEIGHT);
        if (entry)
            memcpy(entry + VALUE, &size[i], sizeof size[i]);
    }
}

/* A PNG of one pixel with the metadata of `image`. */
static int save_one_pixel(VipsImage *image, unsigned char **ret, size_t *ret_len)
{
    _cleanup_image_ VipsImage *one = vips_image_new();
    void *data;

    if (vips_image_pipelinev(one, VIPS_DEMAND_STYLE_THINSTRIP, image, NULL))
        return -EINVAL;
    one->Xsize = one->Ysize = 1;
    vips_image_set_progress(one, FALSE);
    begin_exif(one);
    if (vips_image_generate(one, NULL, generate_nothing, NULL, NULL, NULL) ||
        vips_pngsave_buffer(one, &data, ret_len, NULL))
        return -EINVAL;
    *ret = data;
    return 0;
}

static int write_head(struct png *png, VipsImage *image)
{
    enum { SIGNATURE = 8, IHDR = 16, DEPTH = 24, COLOURS = 25, FRAME = 12 };
    static const size_t channels[256] = {[0] = 1, [2] = 3, [4] = 2, [6] = 4};
    g_autofree unsigned char *data = NULL;
    uint32_t size[] = {htobe32((uint32_t)image->Xsize), htobe32((uint32_t)image->Ysize)}, len;
    size_t total;
    int r = save_one_pixel(image, &data, &total);

    if (r < 0)
        return r;
    assert((size_t)data[DEPTH] / 8 * channels[data[COLOURS]] == VIPS_IMAGE_SIZEOF_PEL(image));
    memcpy(data + IHDR, size, sizeof size);
    if (fwrite(data, SIGNATURE, 1, png->file) != 1)
        r = -EIO;
    for (size_t at = SIGNATURE; r == 0 && memcmp(data + at + 4, "IDAT", 4) != 0; at += len + FRAME) {
        memcpy(&len, data + at, sizeof len);
        len = be32toh(len);
        if (memcmp(data + at + 4, "eXIf", 4) == 0)
            put_size_into_exif(data + at + 8, len, image);
        r = write_chunk(png, (const char *)data + at + 4, data + at + 8, len);
    }
    if (r < 0)
        vips_error("png", "write failed");
    return r;
}

/* --- all of it */

static void close_png(struct png *png)
{
    for (size_t i = 0; i < png->n_strips; i++) {
        struct strip *s = &png->strips[i];

        finish_strip(png, s, false);
        deflateEnd(&s->z);
        free(s->lines);
        free(s->filtered);
        free(s->packed);
    }
    if (png->file)
        fclose(png->file);
}

static int open_png(struct png *png, VipsImage *image, const char *path)
{
    size_t line_len = VIPS_IMAGE_SIZEOF_LINE(image), n_lines = (size_t)image->Ysize;
    size_t each = line_len * n_lines / (STRIPS_MAX - 1);

    if (line_len > STRIP_BYTES_MAX * 16) /* each strip has three copies of its lines */
        png->n_strips = 2;
    each = VIPS_CLIP((size_t)STRIP_BYTES_MIN, each, (size_t)STRIP_BYTES_MAX);
    png->lines_each = MIN(MAX(each / line_len, 1), n_lines);
    png->lines_left = n_lines;
    png->n_strips = MIN(png->n_strips, (n_lines - 1) / png->lines_each + 2); /* one more, as turn() goes on */
    png->swap = image->BandFmt == VIPS_FORMAT_USHORT && __BYTE_ORDER == __LITTLE_ENDIAN;
    png->adler = adler32_z(0, NULL, 0);
    for (size_t i = 0; i < png->n_strips; i++) {
        struct strip *s = &png->strips[i];

        s->line_len = line_len;
        s->pixel_len = VIPS_IMAGE_SIZEOF_PEL(image);
        s->lines = calloc(png->lines_each + 1, line_len);
        if (!s->lines) {
            vips_error("png", "out of memory");
            return -ENOMEM;
        }
    }
    png->file = fopen(path, "we");
    if (!png->file) {
        vips_error("png", "unable to write");
        return -errno;
    }
    return 0;
}

int image_png_write(VipsImage *image, const char *path)
{
    __attribute__((cleanup(close_png))) struct png png = {
        .n_strips = (size_t)VIPS_CLIP(2, g_get_num_processors() + 1, STRIPS_MAX)};

    if (open_png(&png, image, path) < 0 || write_head(&png, image) < 0 ||
        vips_sink_disc(image, take_lines, &png))
        return -1;
    /* In the order in which they were filled: the current one is the oldest. */
    for (size_t i = 0; i < png.n_strips; i++)
        if (finish_strip(&png, &png.strips[(png.current + i) % png.n_strips], true) < 0) {
            vips_error("png", "write failed");
            return -1;
        }
    if (fflush(png.file) != 0) {
        vips_error("png", "write failed");
        return -1;
    }
    return 0;
}
