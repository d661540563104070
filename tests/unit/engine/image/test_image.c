/* The image engine on pictures drawn here. What it offers is converted, and the result read back to PNG,
 * which libpng (through cairo) decodes independently of what wrote it. Formats that it reads and doesn't
 * write are the business of tests/catalogue, as are the pairs of the rarer ones. */
#include "engine/image/image.h"
#include "engine/image/picture.h"

#include "core/str.h"
#include "media/run.h"

#include <cairo.h>
#include <stdio.h>
#include <vips/vips.h>
#include <zlib.h>

enum { WIDTH = 64, HEIGHT = 48 };

#define USUAL     "jpg webp gif tiff heic bmp psd pgm"
#define DOTS      "xbm wbmp jbig"
#define READ_ONLY "icns ora kra mpo jpx psb exr vicar pcd pgx cals palm art pix rle tim scr rgf mtv"

static const uint32_t quadrants[2][2] = {{0xff0000, 0x00ff00}, {0x0000ff, 0xffffff}};

static struct run good(const char *folder, const char *from, const char *to, const char *input,
                       const char *options)
{
    return run_good(&engine_image, folder, from, to, input, options);
}

static enum outcome outcome(const char *folder, const char *from, const char *to, const char *input)
{
    return run_convert(&engine_image, folder, from, to, input, "{}").outcome;
}

/* Red, green, blue and white, or nothing instead of white. */
static const char *make_png(const char *folder, const char *name, bool transparent)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, WIDTH, HEIGHT);
    cairo_t *cr = cairo_create(s);
    const char *path = in(folder, name);

    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++) {
            uint32_t c = quadrants[y][x];

            if (transparent && c == 0xffffff)
                continue;
            cairo_set_source_rgb(cr, c >> 16 & 1, c >> 8 & 1, c & 1);
            cairo_rectangle(cr, x * WIDTH / 2, y * HEIGHT / 2, WIDTH / 2, HEIGHT / 2);
            cairo_fill(cr);
        }
    assert_int_equal(cairo_surface_write_to_png(s, path), CAIRO_STATUS_SUCCESS);
    cairo_destroy(cr);
    cairo_surface_destroy(s);
    return path;
}

static uint32_t pixel(cairo_surface_t *s, int x, int y)
{
    const unsigned char *row = cairo_image_surface_get_data(s) + y * cairo_image_surface_get_stride(s);

    return ((const uint32_t *)(const void *)row)[x];
}

static void assert_near(uint32_t is, uint32_t wanted, int tolerance)
{
    for (int shift = 0; shift <= 16; shift += 8) {
        int a = (int)(is >> shift & 0xff), b = (int)(wanted >> shift & 0xff);

        if (abs(a - b) > tolerance)
            fail_msg("the pixel is %06x and not %06x", (unsigned)is & 0xffffff, (unsigned)wanted);
    }
}

static cairo_surface_t *load_png(const char *path)
{
    cairo_surface_t *s = cairo_image_surface_create_from_png(path);

    assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
    return s;
}

/* Does the picture still show the four quadrants? In grey, only that green is lighter than red and blue. */
static void assert_quadrants(const char *png, int width, bool grey)
{
    cairo_surface_t *s = load_png(png);
    int w = cairo_image_surface_get_width(s), h = cairo_image_surface_get_height(s);

    assert_int_equal(w, width);
    assert_int_equal(h, width * HEIGHT / WIDTH);
    if (grey) {
        assert_true((pixel(s, w * 3 / 4, h / 4) & 0xff) > (pixel(s, w / 4, h / 4) & 0xff) ||
                    (pixel(s, w / 4, h / 4) & 0xffffff) == 0);
        assert_near(pixel(s, w * 3 / 4, h * 3 / 4), 0xffffff, 4);
    }
    for (int y = 0; y < 2 && !grey; y++)
        for (int x = 0; x < 2; x++)
            assert_near(pixel(s, w / 4 + x * w / 2, h / 4 + y * h / 2), quadrants[y][x], 24);
    cairo_surface_destroy(s);
}

/* A PSD of one flat RGB picture, uncompressed (Adobe Photoshop file formats specification). */
static void make_psd(const char *path, uint32_t width, uint32_t height, bool with_pixels)
{
    unsigned char head[40] = "8BPS\0\1\0\0\0\0\0\0\0\3", *data;
    size_t plane = (size_t)width * height, len = sizeof head + (with_pixels ? plane * 3 : 0);

    for (int i = 0; i < 4; i++) {
        head[14 + i] = (unsigned char)(height >> (24 - 8 * i));
        head[18 + i] = (unsigned char)(width >> (24 - 8 * i));
    }
    head[23] = 8; /* bits */
    head[25] = 3; /* RGB; then three empty sections and "raw" */
    data = calloc(1, len);
    assert_non_null(data);
    memcpy(data, head, sizeof head);
    for (size_t i = 0; with_pixels && i < plane; i++)
        for (size_t channel = 0; channel < 3; channel++)
            data[sizeof head + channel * plane + i] =
                (unsigned char)(quadrants[i / width >= height / 2][i % width >= width / 2] >>
                                (16 - 8 * channel));
    write_file(path, data, len);
    free(data);
}

static const char svg[] = "<svg xmlns='http://www.w3.org/2000/svg' width='64' height='48'>"
                          "<rect width='32' height='24' fill='#f00'/>"
                          "<rect x='32' width='32' height='24' fill='#0f0'/>"
                          "<rect y='24' width='32' height='24' fill='#00f'/>"
                          "<rect x='32' y='24' width='32' height='24' fill='#fff'/></svg>";

/* The four quadrants as `format`. */
static void make_input(const char *folder, const char *format, char path[512])
{
    const char *png = make_png(folder, "quadrants.png", false);

    snprintf(path, 512, "%s/input.%s", folder, format);
    if (str_eq(format, "png"))
        make_png(folder, "input.png", false);
    else if (str_eq(format, "psd"))
        make_psd(path, WIDTH, HEIGHT, true);
    else if (str_eq(format, "svg"))
        write_file(path, svg, strlen(svg));
    else
        snprintf(path, 512, "%s", good(folder, "png", format, png, "{\"quality\": 95}").path);
}

static void assert_pdf_of_one_page(const char *path)
{
    char *text = output_of("pdfinfo", path);

    assert_non_null(strstr(text, "Pages:           1\n"));
    free(text);
}

static void assert_begins(const char *path, const char *start)
{
    size_t len;
    char *data = read_file(path, &len);

    assert_true(len > strlen(start) && memcmp(data, start, strlen(start)) == 0);
    free(data);
}

/* Black or white each, of which only white is sure everywhere. */
static void assert_dots(const char *png, int width)
{
    cairo_surface_t *s = load_png(png);
    int w = cairo_image_surface_get_width(s), h = cairo_image_surface_get_height(s), white[2] = {0, 0};

    assert_int_equal(w, width);
    assert_near(pixel(s, w * 3 / 4, h * 3 / 4), 0xffffff, 0);
    for (int y = 0; y < h / 2; y++)
        for (int x = 0; x < w; x++)
            white[x >= w / 2] += (pixel(s, x, y) & 0xffffff) == 0xffffff;
    assert_true(white[0] < white[1]); /* green is lighter than red */
    cairo_surface_destroy(s);
}

static void check_pair(const char *folder, const char *from, const char *to, const char *input)
{
    bool grey = words_have("pgm pbm", from) || words_have("pgm pbm", to);
    /* a drawing fills what has a size of its own */
    bool fills = str_eq(from, "svg") && words_have("ico cur", to);
    int width = fills ? 256 : WIDTH;
    struct run run = good(folder, from, to, input, "{\"quality\": 95}");

    assert_string_equal(run.format, to);
    if (str_eq(to, "pdf"))
        assert_pdf_of_one_page(run.path);
    else if (str_eq(to, "icns")) /* which is a square */
        assert_begins(run.path, "icns");
    else if (str_eq(to, "sixel")) /* which terminals read, and nothing here */
        assert_begins(run.path, "\x1bP");
    else if (words_have(DOTS, from) || words_have(DOTS, to))
        assert_dots(
            good(folder, str_eq(to, "png") ? from : to, "png", str_eq(to, "png") ? input : run.path, "{}")
                .path,
            width);
    else if (str_eq(to, "png"))
        assert_quadrants(run.path, width, grey);
    else
        assert_quadrants(good(folder, to, "png", run.path, "{}").path, width, grey);
}

/* All of the usual, and of the others each way once, and from a drawing. */
static bool is_looked_at(const char *from, const char *to)
{
    return str_eq(from, "png") || str_eq(to, "png") || str_eq(from, "svg") ||
           (words_have(USUAL, from) && words_have(USUAL " pdf", to));
}

static void every_pair_converts(void **state)
{
    char from[16], to[16], input[512];
    const char *a, *b;
    size_t a_len, b_len;
    unsigned pairs = 0;

    for (const struct engine_conversions *c = engine_image.conversions; c->from; c++)
        for (const char *p = c->from; (p = words_next(p, &a, &a_len));) {
            snprintf(from, sizeof from, "%.*s", (int)a_len, a);
            if (words_have(READ_ONLY, from))
                continue;
            make_input(*state, from, input);
            for (const char *q = c->to; (q = words_next(q, &b, &b_len));) {
                snprintf(to, sizeof to, "%.*s", (int)b_len, b);
                if (str_eq(from, to) || !is_looked_at(from, to))
                    continue;
                check_pair(*state, from, to, input);
                pairs++;
            }
        }
    assert_true(pairs > 100);
}

static void leftovers_are_written_over(void **state)
{
    const char *input = make_png(*state, "again.png", false), *word;
    char to[16];
    size_t len;

    for (const char *p = engine_image.conversions[0].to; (p = words_next(p, &word, &len));) {
        snprintf(to, sizeof to, "%.*s", (int)len, word);
        if (str_eq(to, "png"))
            continue;

        struct run run = run_good(&engine_image, *state, "png", to, input, "{}");

        run_again(&engine_image, &run, "png", to, input, "{}");
    }
}

static int offer_everything(const char *unused)
{
    const char *a, *b;
    size_t a_len, b_len;

    for (const struct engine_conversions *c = engine_image.conversions; c->from; c++)
        for (const char *p = c->from; (p = words_next(p, &a, &a_len));)
            for (const char *q = c->to; (q = words_next(q, &b, &b_len));) {
                char from[16], to[16];

                snprintf(from, sizeof from, "%.*s", (int)a_len, a);
                snprintf(to, sizeof to, "%.*s", (int)b_len, b);
                if (!engine_image.offers(format_by_id(from), format_by_id(to)))
                    return -1;
            }
    return 0;
}

/* What the tests convert is what the catalogue offers: Debian's libraries have it all. */
static void everything_is_offered(void **state)
{
    run_apart(offer_everything, *state);
}

static void transparency(void **state)
{
    const char *input = make_png(*state, "clear.png", true);
    cairo_surface_t *kept =
        load_png(good(*state, "webp", "png", good(*state, "png", "webp", input, "{}").path, "{}").path);
    cairo_surface_t *flat =
        load_png(good(*state, "jpg", "png", good(*state, "png", "jpg", input, "{}").path, "{}").path);

    assert_int_equal(pixel(kept, 60, 40) >> 24, 0);
    assert_int_equal(pixel(kept, 4, 4) >> 24, 255);
    assert_near(pixel(flat, 60, 40), 0xffffff, 4);
    cairo_surface_destroy(kept);
    cairo_surface_destroy(flat);
}

/* 256 shades with an alpha of their own, so that most results of the mixing aren't whole numbers. */
static int save_shades(const char *path, int bands)
{
    unsigned char pixels[256 * 4];
    VipsImage *image, *typed = NULL;

    for (int x = 0; x < 256; x++) {
        memset(pixels + x * bands, x, (size_t)bands - 1);
        pixels[x * bands + bands - 1] = (unsigned char)(x * 7);
    }
    image = vips_image_new_from_memory(pixels, (size_t)(256 * bands), 256, 1, bands, VIPS_FORMAT_UCHAR);
    return !image ||
           vips_copy(image, &typed, "interpretation",
                     bands == 2 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL) ||
           vips_pngsave(typed, path, NULL);
}

static int save_grey_shades(const char *path)
{
    return save_shades(path, 2);
}

static int save_colour_shades(const char *path)
{
    return save_shades(path, 4);
}

static void transparency_is_mixed_with_white(void **state)
{
    static int (*const save[])(const char *) = {save_grey_shades, save_colour_shades};

    for (size_t i = 0; i < ARRAY_SIZE(save); i++) {
        const char *input = in(*state, "shades.png");
        cairo_surface_t *s;

        run_apart(save[i], input);
        s = load_png(good(*state, "ppm", "png", good(*state, "png", "ppm", input, "{}").path, "{}").path);
        for (int x = 0; x < 256; x++) {
            int alpha = x * 7 % 256, mixed = (2 * (x * alpha + 255 * (255 - alpha)) + 255) / 510;

            assert_int_equal(pixel(s, x, 0) & 0xffffff, mixed * 0x010101);
        }
        cairo_surface_destroy(s);
    }
}

static uint32_t mixed(unsigned shade, unsigned alpha, uint32_t under)
{
    uint32_t c = 0;

    for (int shift = 16; shift >= 0; shift -= 8)
        c = c << 8 | (2 * (shade * alpha + (under >> shift & 0xff) * (255 - alpha)) + 255) / 510;
    return c;
}

/* Grey ones become coloured by it; a target with transparency of its own keeps it without. */
static void transparency_is_laid_on_a_background(void **state)
{
    static int (*const save[])(const char *) = {save_grey_shades, save_colour_shades};
    static const char *const targets[] = {"ppm", "png"};

    for (size_t i = 0; i < ARRAY_SIZE(save) * ARRAY_SIZE(targets); i++) {
        const char *input = in(*state, "shades.png"), *to = targets[i / 2];
        cairo_surface_t *s;
        struct run run;

        run_apart(save[i % 2], input);
        run = good(*state, "png", to, input, "{\"background\": \"#ff8001\"}");
        s = load_png(good(*state, to, "png", run.path, "{}").path);
        for (unsigned x = 0; x < 256; x++)
            assert_int_equal(pixel(s, (int)x, 0), 0xff000000 | mixed(x, x * 7 % 256, 0xff8001));
        cairo_surface_destroy(s);
    }
}

static void assert_corner(const char *folder, const char *to, const char *input, const char *from,
                          uint32_t colour)
{
    struct run run = good(folder, from, to, input, "{\"background\": \"#3c64c8\"}");
    cairo_surface_t *s = load_png(good(folder, to, "png", run.path, "{}").path);

    assert_near(pixel(s, 60, 40), colour, 6);
    assert_near(pixel(s, 4, 4), 0xff0000, 24);
    assert_int_equal(pixel(s, 60, 40) >> 24, 255);
    cairo_surface_destroy(s);
}

static int save_deep(const char *path)
{
    VipsImage *image = vips_image_new_from_file(path, NULL), *deep = NULL;

    return !image || vips_colourspace(image, &deep, VIPS_INTERPRETATION_RGB16, NULL) ||
           !(image = vips_image_copy_memory(deep)) || vips_pngsave(image, path, "bitdepth", 16, NULL);
}

/* Of 8 and 16 bits, and as light. */
static void backgrounds_are_of_any_depth(void **state)
{
    static const char *const targets[] = {"jpg", "webp", "tiff", "gif", "hdr", "bmp", "qoi", "ff", "tga"};
    const char *input = make_png(*state, "clear.png", true), *deep = make_png(*state, "deep.png", true);

    run_apart(save_deep, deep);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        assert_corner(*state, targets[i], input, "png", 0x3c64c8);
        assert_corner(*state, targets[i], deep, "png", 0x3c64c8);
    }
}

/* A picture of many strips: noisy at the top, as photos are, and flat with a few marks below. */
static VipsImage *draw_long(int bands, bool deep)
{
    enum { W = 700, H = 1501 };
    size_t each = deep ? 2 : 1, len = (size_t)W * H * (size_t)bands * each;
    unsigned char *pixels = calloc(1, len);
    uint32_t noise = 1;
    VipsImage *image;

    assert_non_null(pixels);
    for (size_t i = 0; i < len; i++) {
        noise = noise * 1664525 + 1013904223;
        if (i < len / 2)
            pixels[i] = (unsigned char)(i / 97 + (noise >> 28));
        else if (noise >> 24 == 0)
            pixels[i] = 255;
    }
    image =
        vips_image_new_from_memory(pixels, len, W, H, bands, deep ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);
    assert_non_null(image);
    image->Type = bands < 3 ? (deep ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_B_W)
                            : (deep ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB);
    vips_image_set_blob_copy(image, VIPS_META_XMP_NAME, "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", 37);
    return image;
}

static const struct {
    const char *name;
    int bands;
    bool deep;
} long_pictures[] = {{"grey", 1, false},
                     {"colour", 3, false},
                     {"clear", 4, false},
                     {"deep", 1, true},
                     {"deep-clear", 4, true}};

static int save_long_pictures(const char *folder)
{
    for (size_t i = 0; i < ARRAY_SIZE(long_pictures); i++) {
        char path[512];

        snprintf(path, sizeof path, "%s/%s.tiff", folder, long_pictures[i].name);
        if (vips_tiffsave(draw_long(long_pictures[i].bands, long_pictures[i].deep), path, NULL))
            return -1;
    }
    return 0;
}

static int compare_long_picture(const char *path)
{
    VipsImage *made = NULL, *equal = NULL;
    double least;

    for (size_t i = 0; i < ARRAY_SIZE(long_pictures); i++) {
        VipsImage *drawn = draw_long(long_pictures[i].bands, long_pictures[i].deep);

        if (vips_pngload(path, &made, "fail_on", VIPS_FAIL_ON_WARNING, NULL) == 0 &&
            made->Type == drawn->Type && made->Bands == drawn->Bands)
            return vips_equal(made, drawn, &equal, NULL) || vips_min(equal, &least, NULL) || least != 255 ||
                   vips_image_get_typeof(made, VIPS_META_XMP_NAME) != 0; /* which the source had */
    }
    return -1;
}

/* Each chunk's checksum, of which libpng overlooks some. */
static void assert_chunks(const char *path)
{
    size_t len, at = 8;
    char *data = read_file(path, &len);

    while (at < len) {
        const unsigned char *chunk = (const unsigned char *)data + at;
        size_t n = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        const unsigned char *sum = chunk + 8 + n;

        assert_true(at + n + 12 <= len);
        assert_int_equal(crc32(0, chunk + 4, (uInt)n + 4),
                         (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3]);
        at += n + 12;
    }
    assert_int_equal(at, len);
    free(data);
}

static void png_is_lossless(void **state)
{
    run_apart(save_long_pictures, *state);
    for (size_t i = 0; i < ARRAY_SIZE(long_pictures); i++) {
        char path[512];
        struct run run;

        snprintf(path, sizeof path, "%s/%s.tiff", (const char *)*state, long_pictures[i].name);
        run = good(*state, "tiff", "png", path, "{}");
        assert_chunks(run.path);
        run_apart(compare_long_picture, run.path);
    }
}

static size_t size_of(const char *path)
{
    size_t len;

    free(read_file(path, &len));
    return len;
}

/* The default of an option depends on the target. */
static void quality_has_a_default(void **state)
{
    static const struct {
        const char *to, *same, *other;
    } cases[] = {{"jpg", "{\"quality\": 78}", "{\"quality\": 80}"},
                 {"webp", "{\"quality\": 77}", "{\"quality\": 80}"}};
    const char *input = in(*state, "grey.tiff");

    run_apart(save_long_pictures, *state);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t size = size_of(good(*state, "tiff", cases[i].to, input, "{}").path);

        assert_int_equal(size, size_of(good(*state, "tiff", cases[i].to, input, cases[i].same).path));
        assert_int_not_equal(size, size_of(good(*state, "tiff", cases[i].to, input, cases[i].other).path));
    }
}

static void assert_size(const char *png, int width, int height)
{
    cairo_surface_t *s = load_png(png);

    assert_int_equal(cairo_image_surface_get_width(s), width);
    assert_int_equal(cairo_image_surface_get_height(s), height);
    cairo_surface_destroy(s);
}

static void sizes_are_limits(void **state)
{
    const char *png = make_png(*state, "size.png", false), *drawing = in(*state, "size.svg");
    struct run jpg = good(*state, "png", "jpg", png, "{}");

    write_file(drawing, svg, strlen(svg));
    assert_size(good(*state, "jpg", "png", jpg.path, "{\"width\": 16}").path, 16, 12);
    assert_size(good(*state, "jpg", "png", jpg.path, "{\"height\": 6}").path, 8, 6);
    assert_size(good(*state, "jpg", "png", jpg.path, "{\"width\": 32, \"height\": 12}").path, 16, 12);
    assert_size(good(*state, "jpg", "png", jpg.path, "{\"width\": 1000}").path, WIDTH, HEIGHT);
    /* a drawing has no pixels to run out of */
    assert_size(good(*state, "svg", "png", drawing, "{\"width\": 640}").path, 640, 480);
}

static int save_turned(const char *path)
{
    VipsImage *black = NULL, *picture = NULL;

    if (vips_black(&black, 40, 20, "bands", 3, NULL) ||
        vips_copy(black, &picture, "interpretation", VIPS_INTERPRETATION_sRGB, NULL))
        return -1;
    vips_image_set_int(picture, VIPS_META_ORIENTATION, 6);
    return vips_jpegsave(picture, path, NULL);
}

static void orientation_is_applied(void **state)
{
    const char *input = in(*state, "turned.jpg");
    char *info;

    run_apart(save_turned, input);
    assert_size(good(*state, "jpg", "png", input, "{}").path, 20, 40);
    /* 40 × 20 pixels without a resolution are 30 × 15 points, upright in the PDF too */
    info = output_of("pdfinfo", good(*state, "jpg", "pdf", input, "{}").path);
    assert_non_null(strstr(info, "Page size:"));
    free(info);
}

/* Where white, the last of four, has gone when it was turned clockwise; EXIF has its word before. */
static void pictures_are_turned(void **state)
{
    static const struct {
        const char *options;
        int width, height, x, y; /* of white */
    } turns[] = {
        {"{\"rotate\": \"0\"}", 64, 48, 60, 44},
        {"{\"rotate\": \"90\"}", 48, 64, 4, 60},
        {"{\"rotate\": \"180\"}", 64, 48, 4, 4},
        {"{\"rotate\": \"270\"}", 48, 64, 44, 4},
        {"{\"rotate\": \"90\", \"width\": 24}", 24, 32, 2, 30},
        {"{\"rotate\": \"270\", \"height\": 32, \"width\": 30}", 24, 32, 22, 2},
    };
    const char *png = make_png(*state, "turn.png", false), *turned = in(*state, "turned.jpg");

    for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
        const char *path = good(*state, "png", "png", png, turns[i].options).path;
        cairo_surface_t *s = load_png(path);

        assert_size(path, turns[i].width, turns[i].height);
        assert_near(pixel(s, turns[i].x, turns[i].y), 0xffffff, 0);
        cairo_surface_destroy(s);
    }
    run_apart(save_turned, turned);
    assert_size(good(*state, "jpg", "png", turned, "{\"rotate\": \"90\"}").path, 40, 20);
}

/* A drawing is drawn as large as it is to be seen. */
static void drawings_are_turned_and_laid(void **state)
{
    static const char drawing[] = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'>"
                                  "<rect width='20' height='20' fill='red'/></svg>";
    const char *path = in(*state, "turn.svg"), *png;
    cairo_surface_t *s;

    write_file(path, drawing, strlen(drawing));
    png = good(*state, "svg", "png", path, "{\"rotate\": \"90\", \"height\": 400, \"background\": \"black\"}")
              .path;
    assert_size(png, 200, 400);
    s = load_png(png);
    assert_int_equal(pixel(s, 100, 198), 0xffff0000); /* sharp up to the edge */
    assert_int_equal(pixel(s, 100, 201), 0xff000000);
    cairo_surface_destroy(s);
    s = load_png(good(*state, "svg", "png", path, "{}").path);
    assert_int_equal(pixel(s, 30, 10), 0);
    cairo_surface_destroy(s);
}

/* All of a JPEG from its tables on: what is before them is metadata, which is left out. */
static bool holds_picture(const char *pdf, size_t pdf_len, const char *jpg, size_t jpg_len)
{
    const char *tables = memmem(jpg, jpg_len, "\xff\xdb", 2);

    return tables && memmem(pdf, pdf_len, tables, jpg_len - (size_t)(tables - jpg));
}

static void pdf_holds_the_jpeg_itself(void **state)
{
    struct run jpg = good(*state, "png", "jpg", make_png(*state, "exact.png", false), "{}");
    struct run pdf = good(*state, "jpg", "pdf", jpg.path, "{}");
    size_t jpg_len, pdf_len;
    char *jpg_data = read_file(jpg.path, &jpg_len), *pdf_data = read_file(pdf.path, &pdf_len);

    assert_non_null(holds_picture(pdf_data, pdf_len, jpg_data, jpg_len));
    free(jpg_data);
    free(pdf_data);
}

/* Three frames of 16 × 16, as a GIF with an animation or a TIFF with pages. */
static int save_frames(const char *path)
{
    VipsImage *black = NULL, *frames = NULL;

    if (vips_black(&black, 16, 48, "bands", 3, NULL) ||
        vips_linear1(black, &frames, 1, 90, "uchar", TRUE, NULL) || !(black = vips_image_copy_memory(frames)))
        return -1;
    for (int y = 0; y < 48; y++)
        memset(VIPS_IMAGE_ADDR(black, 0, y), y / 16 * 80, 16 * 3);
    black->Type = VIPS_INTERPRETATION_sRGB;
    vips_image_set_int(black, VIPS_META_PAGE_HEIGHT, 16);
    return vips_image_write_to_file(black, path, NULL);
}

static int check_three_frames(const char *path)
{
    VipsImage *image = NULL;

    return vips_webpload(path, &image, "n", -1, NULL) || vips_image_get_n_pages(image) != 3 ||
           vips_image_get_page_height(image) != 8;
}

/* Three frames of 16 × 8, the left half of each of another shade. */
static int save_wide_frames(const char *path)
{
    VipsImage *black = NULL, *frames = NULL;

    if (vips_black(&black, 16, 24, "bands", 3, NULL) || !(frames = vips_image_copy_memory(black)))
        return -1;
    for (int y = 0; y < 24; y++)
        memset(VIPS_IMAGE_ADDR(frames, 0, y), 60 + y / 8 * 80, 8 * 3);
    frames->Type = VIPS_INTERPRETATION_sRGB;
    vips_image_set_int(frames, VIPS_META_PAGE_HEIGHT, 8);
    return vips_image_write_to_file(frames, path, NULL);
}

static int has_shades(VipsImage *image, int x, int left_of_y)
{
    for (int i = 0; i < 3; i++) {
        double *dot;
        int n, y = i * vips_image_get_page_height(image) + left_of_y;

        if (vips_getpoint(image, &dot, &n, x, y, NULL) || dot[0] < 50 + i * 80 || dot[0] > 70 + i * 80)
            return -1;
        g_free(dot);
    }
    return 0;
}

static int check_quarter(const char *path)
{
    VipsImage *image = NULL;

    return vips_gifload(path, &image, "n", -1, NULL) || vips_image_get_n_pages(image) != 3 ||
           vips_image_get_width(image) != 8 || vips_image_get_page_height(image) != 16 ||
           has_shades(image, 4, 4); /* at the top of each */
}

static int check_half(const char *path)
{
    VipsImage *image = NULL;

    return vips_gifload(path, &image, "n", -1, NULL) || vips_image_get_n_pages(image) != 3 ||
           vips_image_get_width(image) != 16 || vips_image_get_page_height(image) != 8 ||
           has_shades(image, 12, 4); /* on the right */
}

static int check_other_quarter(const char *path)
{
    VipsImage *image = NULL;

    return vips_gifload(path, &image, "n", -1, NULL) || vips_image_get_page_height(image) != 16 ||
           has_shades(image, 4, 12); /* at the bottom */
}

/* In their order, each by itself. */
static void frames_are_turned(void **state)
{
    const char *gif = in(*state, "wide.gif");

    run_apart(save_wide_frames, gif);
    run_apart(check_quarter, good(*state, "gif", "gif", gif, "{\"rotate\": \"90\"}").path);
    run_apart(check_half, good(*state, "gif", "gif", gif, "{\"rotate\": \"180\"}").path);
    run_apart(check_other_quarter, good(*state, "gif", "gif", gif, "{\"rotate\": \"270\"}").path);
    /* one frame of several is as high as its picture */
    assert_size(good(*state, "gif", "png", gif, "{\"rotate\": \"90\"}").path, 8, 16);
}

static void frames_and_pages(void **state)
{
    const char *gif = in(*state, "frames.gif"), *tiff = in(*state, "pages.tiff");
    struct run run;

    run_apart(save_frames, gif);
    run_apart(save_frames, tiff);
    run = good(*state, "gif", "webp", gif, "{\"width\": 8}");
    run_apart(check_three_frames, run.path);
    assert_size(good(*state, "gif", "png", gif, "{}").path, 16, 16);
    assert_size(good(*state, "tiff", "png", tiff, "{}").path, 16, 16);
    assert_int_equal(good(*state, "gif", "pdf", gif, "{}").pages, 1);
    run = good(*state, "tiff", "pdf", tiff, "{}");
    assert_int_equal(run.pages, 3);

    char *info = output_of("pdfinfo", run.path);

    assert_non_null(strstr(info, "Pages:           3\n"));
    free(info);
}

static int save_ink(const char *path, const double ink[4])
{
    VipsImage *black = NULL, *picture = NULL;

    if (vips_black(&black, 16, 16, "bands", 4, NULL) ||
        vips_linear(black, &picture, (double[]){1, 1, 1, 1}, ink, 4, "uchar", TRUE, NULL) ||
        vips_copy(picture, &black, "interpretation", VIPS_INTERPRETATION_CMYK, NULL))
        return -1;
    return vips_jpegsave(black, path, NULL);
}

static int save_cmyk(const char *path)
{
    return save_ink(path, (double[]){0, 255, 255, 0});
}

static int save_all_inks(const char *path)
{
    return save_ink(path, (double[]){255, 255, 255, 255});
}

static void cmyk_becomes_rgb(void **state)
{
    const char *input = in(*state, "cmyk.jpg"), *dark = in(*state, "dark.jpg");
    cairo_surface_t *s;

    run_apart(save_cmyk, input);
    run_apart(save_all_inks, dark);
    s = load_png(good(*state, "jpg", "png", dark, "{}").path);
    assert_near(pixel(s, 8, 8), 0x000000, 24);
    cairo_surface_destroy(s);
    s = load_png(good(*state, "jpg", "png", input, "{}").path);
    assert_near(pixel(s, 8, 8), 0xe82020, 40);
    cairo_surface_destroy(s);
    assert_pdf_of_one_page(good(*state, "jpg", "pdf", input, "{}").path);
}

static void icon_has_several_sizes(void **state)
{
    const char *drawing = in(*state, "icon.svg");
    struct run run;
    size_t len;
    char *ico;

    write_file(drawing, svg, strlen(svg));
    run = good(*state, "svg", "ico", drawing, "{}");
    ico = read_file(run.path, &len);
    assert_true(len > 6);
    assert_int_equal(ico[4], 4); /* images */
    free(ico);
    /* and the largest is what comes out again */
    assert_size(good(*state, "ico", "png", run.path, "{}").path, 256, 192);
}

/* A PNG that ends where its pixels begin. */
static void make_png_header(const char *path, uint32_t width, uint32_t height)
{
    static const unsigned char data[] = "\0\0\0\1IDAT\x78\x76\xe6\x84\xe6";
    unsigned char png[33 + sizeof data - 1] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    for (int i = 0; i < 4; i++) {
        png[16 + i] = (unsigned char)(width >> (24 - 8 * i));
        png[20 + i] = (unsigned char)(height >> (24 - 8 * i));
    }
    png[24] = 8;
    png[25] = 2;

    uint32_t crc = (uint32_t)crc32(0, png + 12, 17);

    for (int i = 0; i < 4; i++)
        png[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    memcpy(png + 33, data, sizeof data - 1);
    write_file(path, png, sizeof png);
}

static void bombs_are_refused(void **state)
{
    static const char large[] = "<svg xmlns='http://www.w3.org/2000/svg' width='30000' height='30000'/>";
    static const char medium[] = "<svg xmlns='http://www.w3.org/2000/svg' width='9000' height='9000'/>";

    make_png_header(in(*state, "bomb.png"), 20000, 20000);
    make_psd(in(*state, "bomb.psd"), 20000, 20000, false);
    write_file(in(*state, "bomb.svg"), large, strlen(large));
    write_file(in(*state, "medium.svg"), medium, strlen(medium));
    assert_int_equal(outcome(*state, "png", "jpg", in(*state, "bomb.png")), OUTCOME_TOO_COMPLEX);
    assert_int_equal(outcome(*state, "png", "pdf", in(*state, "bomb.png")), OUTCOME_TOO_COMPLEX);
    assert_int_equal(outcome(*state, "psd", "jpg", in(*state, "bomb.psd")), OUTCOME_TOO_COMPLEX);
    assert_int_equal(outcome(*state, "svg", "jpg", in(*state, "bomb.svg")), OUTCOME_TOO_COMPLEX);
    /* more than ImageMagick is given memory for */
    assert_int_equal(outcome(*state, "svg", "bmp", in(*state, "medium.svg")), OUTCOME_TOO_COMPLEX);
}

/* 1 × 1, and far more frames than pixels. */
static void animations_have_a_bound(void **state)
{
    static const char head[] = "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff";
    static const char frame[] = "\x21\xf9\4\0\5\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1";
    enum { MANY = PICTURE_FRAMES_MAX + 1 };
    size_t len = sizeof head - 1;
    char *gif = malloc(sizeof head + MANY * sizeof frame);

    assert_non_null(gif);
    memcpy(gif, head, len);
    for (int i = 0; i < MANY; i++, len += sizeof frame) /* with the NUL that ends a frame's blocks */
        memcpy(gif + len, frame, sizeof frame);
    gif[len++] = ';';
    write_file(in(*state, "many.gif"), gif, len);
    assert_int_equal(outcome(*state, "gif", "webp", in(*state, "many.gif")), OUTCOME_TOO_COMPLEX);
    assert_size(good(*state, "gif", "png", in(*state, "many.gif"), "{}").path, 1, 1);
    free(gif);
}

static void damaged_pictures(void **state)
{
    /* JPEG 2000 is made to be cut off: less of it is a coarser picture */
    static const char *const formats_cut[] = {"png", "jpg", "webp", "gif", "tiff", "avif", "heic",
                                              "bmp", "tga", "ppm",  "pgm", "pbm",  "psd",  "ico"};
    char input[512];

    for (size_t i = 0; i < ARRAY_SIZE(formats_cut); i++) {
        size_t len;
        char *data;

        make_input(*state, formats_cut[i], input);
        data = read_file(input, &len);
        write_file(in(*state, "cut"), data, len / 2);
        if (outcome(*state, formats_cut[i], str_eq(formats_cut[i], "png") ? "jpg" : "png",
                    in(*state, "cut")) != OUTCOME_CORRUPT_INPUT)
            fail_msg("half a %s was converted", formats_cut[i]);
        if (str_eq(formats_cut[i], "jpg"))
            assert_int_equal(outcome(*state, "jpg", "pdf", in(*state, "cut")), OUTCOME_CORRUPT_INPUT);
        free(data);
    }
}

/* No content chooses its own parser, whatever the format is said to be. */
static void disguises_are_refused(void **state)
{
    static const char *const contents[] = {
        "push graphic-context\nviewbox 0 0 64 48\nimage over 0,0 0,0 '/etc/passwd'\npop graphic-context\n",
        "<?xml version='1.0'?><image><read filename='/etc/passwd'/></image>",
        "%!PS-Adobe-3.0\nshowpage\n",
        "%PDF-1.4\n",
        "\x1f\x8b\x08\x00svgz",
    };
    static const char *const formats_claimed[] = {"bmp", "ico", "psd", "tga", "png", "tiff", "svg"};
    const char *input = in(*state, "disguise");

    for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
        for (size_t k = 0; k < ARRAY_SIZE(formats_claimed); k++) {
            write_file(input, contents[i], strlen(contents[i]));
            assert_true(outcome(*state, formats_claimed[k], "jpg", input) != OUTCOME_OK);
        }
}

static void assert_no_picture(const char *pdf)
{
    size_t len;
    char *data = read_file(pdf, &len);

    assert_null(memmem(data, len, "/Subtype /Image", 15));
    free(data);
}

static void svg_reads_nothing_beside_itself(void **state)
{
    char text[1024];
    cairo_surface_t *s;

    snprintf(text, sizeof text,
             "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='64' "
             "height='48'><rect width='64' height='48' fill='#fff'/><image width='64' height='48' "
             "xlink:href='file://%s'/><image width='64' height='48' href='secret.png'/></svg>",
             make_png(*state, "secret.png", false));
    write_file(in(*state, "curious.svg"), text, strlen(text));
    s = load_png(good(*state, "svg", "png", in(*state, "curious.svg"), "{}").path);
    assert_near(pixel(s, 4, 4), 0xffffff, 0);
    cairo_surface_destroy(s);
    assert_no_picture(good(*state, "svg", "pdf", in(*state, "curious.svg"), "{}").path);
}

static void pdf_of_a_drawing_is_no_picture(void **state)
{
    static const char drawing[] =
        "<svg xmlns='http://www.w3.org/2000/svg' width='100mm' height='50mm' viewBox='0 0 200 100'>"
        "<circle cx='150' cy='50' r='20' fill='none' stroke='green'/>"
        "<text x='10' y='30' font-family='Liberation Sans' font-size='20'>Words of it</text></svg>";
    const char *path;
    char *text;

    write_file(in(*state, "drawing.svg"), drawing, strlen(drawing));
    path = good(*state, "svg", "pdf", in(*state, "drawing.svg"), "{}").path;
    text = output_of("pdfinfo", path);
    assert_non_null(strstr(text, "Page size:       283.465 x 141.732 pts\n"));
    free(text);
    text = output_of("pdffonts", path);
    assert_non_null(strstr(text, "LiberationSans"));
    free(text);
    assert_no_picture(path);
}

/* A size that no page has, or none, or none that is one. */
static void drawings_of_any_size(void **state)
{
    static const struct {
        const char *size;
        enum outcome outcome;
        const char *page;
    } drawings[] = {
        {"viewBox='0 0 400 200'", OUTCOME_OK, "300 x 150 pts"},
        {"", OUTCOME_OK, "225 x 112.5 pts"},
        {"width='1e12' height='5'", OUTCOME_OK, "14400 x 3 pts"},
        {"width='0' height='0'", OUTCOME_CORRUPT_INPUT, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(drawings); i++) {
        const char *path = in(*state, "sized.svg");
        char text[256];

        snprintf(text, sizeof text,
                 "<svg xmlns='http://www.w3.org/2000/svg' %s><rect width='5' height='5'/></svg>",
                 drawings[i].size);
        write_file(path, text, strlen(text));
        assert_int_equal(outcome(*state, "svg", "pdf", path), drawings[i].outcome);
        if (drawings[i].page) {
            char *said = output_of("pdfinfo", good(*state, "svg", "pdf", path, "{}").path);

            if (!strstr(said, drawings[i].page))
                fail_msg("%s: %s", drawings[i].size, said);
            free(said);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_offered),
        cmocka_unit_test(every_pair_converts),
        cmocka_unit_test(leftovers_are_written_over),
        cmocka_unit_test(transparency),
        cmocka_unit_test(transparency_is_mixed_with_white),
        cmocka_unit_test(transparency_is_laid_on_a_background),
        cmocka_unit_test(backgrounds_are_of_any_depth),
        cmocka_unit_test(png_is_lossless),
        cmocka_unit_test(quality_has_a_default),
        cmocka_unit_test(sizes_are_limits),
        cmocka_unit_test(orientation_is_applied),
        cmocka_unit_test(pictures_are_turned),
        cmocka_unit_test(drawings_are_turned_and_laid),
        cmocka_unit_test(pdf_holds_the_jpeg_itself),
        cmocka_unit_test(frames_and_pages),
        cmocka_unit_test(frames_are_turned),
        cmocka_unit_test(cmyk_becomes_rgb),
        cmocka_unit_test(icon_has_several_sizes),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(animations_have_a_bound),
        cmocka_unit_test(damaged_pictures),
        cmocka_unit_test(disguises_are_refused),
        cmocka_unit_test(svg_reads_nothing_beside_itself),
        cmocka_unit_test(pdf_of_a_drawing_is_no_picture),
        cmocka_unit_test(drawings_of_any_size),
    };

    return run_engine_tests(&engine_image, tests, ARRAY_SIZE(tests));
}
