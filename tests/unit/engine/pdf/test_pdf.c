/* The PDF engine on documents drawn here by cairo or written by hand; results are read by libzip, libpng
 * (through cairo) and as text. */
#include "engine/pdf/pdf.h"

#include "core/str.h"
#include "engine/pdf/ring.h"
#include "engine/pdf/surface.h"
#include "media/run.h"

#include <cairo-pdf.h>
#include <lcms2.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <zip.h>

enum { WIDTH = 300, HEIGHT = 200 };

/* Pages with a red square at the lower right, a heading, bold text, two columns and a number. */
static const char *make_pdf(const char *folder, const char *name, int pages)
{
    const char *path = in(folder, name);
    cairo_surface_t *surface = cairo_pdf_surface_create(path, WIDTH, HEIGHT);
    cairo_t *cr = cairo_create(surface);

    for (int i = 1; i <= pages; i++) {
        char text[32];

        cairo_set_source_rgb(cr, 1, 0, 0);
        cairo_rectangle(cr, WIDTH - 50, HEIGHT - 50, 50, 50);
        cairo_fill(cr);
        cairo_set_source_rgb(cr, 0, 0, 0);
        cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(cr, 20);
        cairo_move_to(cr, 20, 30);
        cairo_show_text(cr, "Heading & <tag>");
        cairo_set_font_size(cr, 10);
        cairo_move_to(cr, 20, 60);
        snprintf(text, sizeof text, "This is page %d", i);
        cairo_show_text(cr, text);
        cairo_move_to(cr, 20, 90);
        cairo_show_text(cr, "left alpha");
        cairo_move_to(cr, 180, 90);
        cairo_show_text(cr, "right alpha");
        cairo_move_to(cr, 20, 102);
        cairo_show_text(cr, "left");
        cairo_move_to(cr, 180, 102);
        cairo_show_text(cr, "right beta");
        cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
        cairo_move_to(cr, 20, 130);
        cairo_show_text(cr, "strong words");
        cairo_show_page(cr);
    }
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    cairo_surface_destroy(surface);
    return path;
}

static struct run good(const char *folder, const char *to, const char *input, const char *options)
{
    return run_good(&engine_pdf, folder, "pdf", to, input, options);
}

static enum outcome outcome(const char *folder, const char *to, const char *input, const char *options)
{
    return run_convert(&engine_pdf, folder, "pdf", to, input, options).outcome;
}

static void every_target_as_file_or_archive(void **state)
{
    const char *word;
    size_t len;

    for (const char *p = engine_pdf.conversions[0].to; (p = words_next(p, &word, &len));) {
        char to[16];

        snprintf(to, sizeof to, "%.*s", (int)len, word);

        bool single = words_have("txt html tiff", to);
        struct run one = good(*state, to, make_pdf(*state, "one.pdf", 1), "{}");
        struct run many = good(*state, to, make_pdf(*state, "many.pdf", 3), "{}");

        run_again(&engine_pdf, &one, "pdf", to, in(*state, "one.pdf"), "{}");
        run_again(&engine_pdf, &many, "pdf", to, in(*state, "many.pdf"), "{}");
        assert_string_equal(one.format, to);
        assert_int_equal(one.pages, 1);
        assert_string_equal(many.format, single ? to : "zip");
        assert_int_equal(many.pages, 3);
    }
}

static void archive_is_what_libzip_expects(void **state)
{
    static const char *const targets[] = {"png", "jpg", "webp", "svg"};

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        struct run run = good(*state, targets[i], make_pdf(*state, "three.pdf", 3), "{\"dpi\": 72}");
        zip_t *zip = zip_open(run.path, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
        char name[32], data[64];

        assert_non_null(zip);
        assert_int_equal(zip_get_num_entries(zip, 0), 3);
        for (unsigned n = 0; n < 3; n++) {
            zip_stat_t st;
            zip_file_t *file;
            zip_int64_t got, total = 0;

            snprintf(name, sizeof name, "page-%03u.%s", n + 1, targets[i]);
            assert_int_equal(zip_stat_index(zip, n, 0, &st), 0);
            assert_string_equal(st.name, name);
            assert_int_equal(st.comp_method, str_eq(targets[i], "svg") ? ZIP_CM_DEFLATE : ZIP_CM_STORE);
            file = zip_fopen_index(zip, n, 0);
            assert_non_null(file);
            while ((got = zip_fread(file, data, sizeof data)) > 0)
                total += got;
            assert_int_equal(got, 0);
            assert_int_equal(total, st.size);
            assert_int_equal(zip_fclose(file), 0); /* and the checksum was right */
        }
        zip_discard(zip);
    }
}

/* The archive that a process makes which may run on one core, and so with one thread. */
static char *made_by_one_thread(const char *folder, const char *to, const char *input, size_t *ret_len)
{
    cpu_set_t all, one;
    int cpu = 0;
    struct run run;

    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    run = good(folder, to, input, "{}");
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    return read_file(run.path, ret_len);
}

static void threads_change_no_byte(void **state)
{
    static const char *const targets[] = {"png", "jpg", "svg", "txt"};
    const char *input = make_pdf(*state, "thirty.pdf", 30);

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        size_t len, len_one;
        struct run run = good(*state, targets[i], input, "{}");
        char *data = read_file(run.path, &len);
        char *one = made_by_one_thread(*state, targets[i], input, &len_one);

        assert_int_equal(len, len_one);
        assert_memory_equal(data, one, len);
        free(data);
        free(one);
    }
}

static void threads_fit_pages_and_cores(void **state)
{
    assert_int_equal(ring_threads(2, 4), 1);
    assert_int_equal(ring_threads(7, 4), 1);
    assert_int_equal(ring_threads(8, 4), 2);
    assert_int_equal(ring_threads(200, 4), 4);
    assert_int_equal(ring_threads(200, 1), 1);
    assert_int_equal(ring_threads(200, 0), 1);
    assert_int_equal(ring_threads(2000, 128), 8);
}

static uint32_t pixel(cairo_surface_t *s, int x, int y)
{
    const unsigned char *row = cairo_image_surface_get_data(s) + y * cairo_image_surface_get_stride(s);

    return ((const uint32_t *)(const void *)row)[x] & 0xffffff;
}

static void png_has_the_resolution_asked_for(void **state)
{
    const char *input = make_pdf(*state, "png.pdf", 1);

    for (int dpi = 72; dpi <= 288; dpi *= 2) {
        char options[32];

        snprintf(options, sizeof options, "{\"dpi\": %d}", dpi);

        struct run run = good(*state, "png", input, options);
        cairo_surface_t *s = cairo_image_surface_create_from_png(run.path);

        assert_int_equal(cairo_image_surface_get_width(s), WIDTH * dpi / 72);
        assert_int_equal(cairo_image_surface_get_height(s), HEIGHT * dpi / 72);
        assert_int_equal(pixel(s, (WIDTH - 25) * dpi / 72, (HEIGHT - 25) * dpi / 72), 0xff0000);
        assert_int_equal(pixel(s, 2, 2), 0xffffff);
        cairo_surface_destroy(s);
    }
}

/* Pages keep their shape, and none grows. */
static void pictures_fit_where_they_are_asked_to(void **state)
{
    static const struct {
        const char *options;
        double width;
    } cases[] = {
        {"{\"dpi\": 144, \"width\": 100}", 100},
        {"{\"dpi\": 144, \"width\": 16384, \"height\": 100}", 100.0 * WIDTH / HEIGHT},
        {"{\"dpi\": 144, \"width\": 100, \"height\": 16384}", 100},
        {"{\"dpi\": 72, \"width\": 16384, \"height\": 16384}", WIDTH},
        {"{\"width\": 1}", 1},
    };
    const char *input = make_pdf(*state, "fit.pdf", 1);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run = good(*state, "png", input, cases[i].options);
        cairo_surface_t *s = cairo_image_surface_create_from_png(run.path);
        double height = cases[i].width * HEIGHT / WIDTH;

        assert_int_equal(cairo_image_surface_get_width(s), (int)ceil(cases[i].width - 0.01));
        assert_int_equal(cairo_image_surface_get_height(s), (int)ceil(height - 0.01));
        cairo_surface_destroy(s);
    }
}

/* sRGB with red and green changed over. */
static cmsUInt32Number make_profile(void *ret, cmsUInt32Number size)
{
    static const cmsCIExyYTRIPLE primaries = {
        .Red = {0.30, 0.60, 1}, .Green = {0.64, 0.33, 1}, .Blue = {0.15, 0.06, 1}};
    cmsCIExyY white = {0.3127, 0.3290, 1};
    cmsToneCurve *gamma = cmsBuildGamma(NULL, 2.2);
    cmsHPROFILE profile = cmsCreateRGBProfile(&white, &primaries, (cmsToneCurve *[]){gamma, gamma, gamma});

    assert_true(cmsSaveProfileToMem(profile, ret, &size));
    cmsFreeToneCurve(gamma);
    cmsCloseProfile(profile);
    return size;
}

/* Pages that are red by the profile's numbers, which is green, with a word on each. */
static const char *make_profiled(const char *folder, int pages)
{
    static const char content[] = "/C cs 1 0 0 sc 0 0 200 200 re f BT /F 20 Tf 20 100 Td (Coloured) Tj ET";
    const char *path = in(folder, "profiled.pdf");
    FILE *file = fopen(path, "w");
    char profile[8192] = ""; /* lcms leaves gaps */
    cmsUInt32Number size = make_profile(profile, sizeof profile);

    assert_non_null(file);
    fprintf(file, "%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[");
    for (int i = 0; i < pages; i++)
        fprintf(file, "3 0 R ");
    fprintf(file,
            "]/Count %d>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R"
            "/Resources<</ColorSpace<</C[/ICCBased 5 0 R]>>/Font<</F<</Type/Font/Subtype/Type1/BaseFont"
            "/Helvetica>>>>>>>>endobj\n4 0 obj<</Length %zu>>stream\n%s\nendstream endobj\n"
            "5 0 obj<</N 3/Length %u>>stream\n",
            pages, strlen(content), content, size);
    fwrite(profile, 1, size, file);
    fprintf(file, "\nendstream endobj\ntrailer<</Root 1 0 R/Size 6>>\n%%%%EOF\n");
    assert_int_equal(fclose(file), 0);
    return path;
}

static int *not_joined; /* shared with the processes that convert */

static void count_not_joined(cmsContext context, cmsUInt32Number code, const char *text)
{
    *not_joined += str_eq(text, "Couldn't link the profiles");
}

static bool is_green(const char *folder, const char *input)
{
    struct run run = good(folder, "png", input, "{\"dpi\": 72}");
    cairo_surface_t *s = cairo_image_surface_create_from_png(run.path);
    uint32_t colour = pixel(s, 190, 10);

    cairo_surface_destroy(s);
    return (colour >> 16 & 0xff) < 0x40 && (colour >> 8 & 0xff) > 0xc0;
}

static void text_makes_no_colours_and_pictures_do(void **state)
{
    const char *input = make_profiled(*state, 3);
    size_t len;
    char *text;

    not_joined = mmap(NULL, sizeof *not_joined, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(not_joined, MAP_FAILED);
    cmsSetLogErrorHandler(count_not_joined);
    text = read_file(good(*state, "txt", input, "{}").path, &len);
    assert_string_equal(text, "Coloured\n\fColoured\n\fColoured\n");
    free(text);
    assert_true(*not_joined >= 3);
    *not_joined = 0;
    assert_true(is_green(*state, make_profiled(*state, 1)));
    assert_int_equal(*not_joined, 0);
    munmap(not_joined, sizeof *not_joined);
}

static void text_keeps_columns_and_pages(void **state)
{
    struct run run = good(*state, "txt", make_pdf(*state, "text.pdf", 2), "{}");
    size_t len;
    char *text = read_file(run.path, &len), *second = strchr(text, '\f');
    char *alpha = strstr(text, "right alpha"), *beta = strstr(text, "right beta"), *line;

    assert_non_null(second);
    assert_null(strchr(second + 1, '\f'));
    assert_non_null(strstr(text, "Heading & <tag>"));
    assert_non_null(strstr(text, "This is page 1"));
    assert_non_null(strstr(second, "This is page 2"));
    /* the same line as its left neighbour, the same column as the one below */
    assert_non_null(alpha);
    assert_non_null(beta);
    line = strstr(text, "left alpha");
    assert_non_null(line);
    assert_true(line < alpha && !memchr(line, '\n', (size_t)(alpha - line)));
    assert_int_equal(alpha - line, beta - strstr(line + 1, "left"));
    free(text);
}

static void html_is_escaped_and_styled(void **state)
{
    struct run run = good(*state, "html", make_pdf(*state, "html.pdf", 2), "{}");
    size_t len;
    char *html = read_file(run.path, &len);

    assert_true(str_starts(html, "<!DOCTYPE html>"));
    assert_non_null(strstr(html, "Heading &amp; &lt;tag&gt;"));
    assert_null(strstr(html, "<tag>"));
    assert_non_null(strstr(html, "<h2"));
    assert_non_null(strstr(html, "<b>strong words</b>"));
    assert_non_null(strstr(html, "This is page 2"));
    assert_non_null(strstr(html, "</html>"));
    free(html);
}

static bool is_white(cairo_surface_t *s)
{
    for (int y = 0; y < cairo_image_surface_get_height(s); y++)
        for (int x = 0; x < cairo_image_surface_get_width(s); x++)
            if (pixel(s, x, y) != 0xffffff)
                return false;
    return true;
}

/* The paper is coloured, what is printed on it is not; drawn as a picture of lines it has paper when that is
 * asked for. */
static void paper_has_the_colour_asked_for(void **state)
{
    const char *input = make_pdf(*state, "paper.pdf", 1);
    struct run run = good(*state, "png", input, "{\"dpi\": 72, \"background\": \"#3c64c8\"}");
    cairo_surface_t *s = cairo_image_surface_create_from_png(run.path);
    char *text;
    size_t len;

    assert_int_equal(pixel(s, 2, 2), 0x3c64c8);
    assert_int_equal(pixel(s, WIDTH - 25, HEIGHT - 25), 0xff0000);
    cairo_surface_destroy(s);
    text = read_file(good(*state, "svg", input, "{\"background\": \"#ff0000\"}").path, &len);
    assert_non_null(strstr(text, "<rect x=\"0\" y=\"0\" width=\"300\" height=\"200\""));
    free(text);
    text = read_file(good(*state, "svg", input, "{}").path, &len);
    assert_null(strstr(text, "<rect x=\"0\" y=\"0\""));
    free(text);
}

static void blacken(cairo_surface_t *s)
{
    cairo_t *cr = cairo_create(s);

    cairo_paint(cr);
    cairo_destroy(cr);
}

/* Their memory is used again: nothing of a page may be seen on a later one. */
static void surfaces_are_white_whatever_was_on_them(void **state)
{
    static const int sizes[] = {1, 700, 700, 1500, 700, 1500, 1500, 3};
    cairo_surface_t *surfaces[20];

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t n = 1 + i % 2 * (ARRAY_SIZE(surfaces) - 1); /* alone, and more than wait for a next page */

        for (size_t k = 0; k < n; k++) {
            surfaces[k] = surface_new(sizes[i], sizes[i] / 2 + 1);
            assert_non_null(surfaces[k]);
            assert_int_equal(cairo_image_surface_get_width(surfaces[k]), sizes[i]);
            assert_int_equal(cairo_image_surface_get_height(surfaces[k]), sizes[i] / 2 + 1);
            assert_true(is_white(surfaces[k]));
            blacken(surfaces[k]);
        }
        for (size_t k = 0; k < n; k++)
            cairo_surface_destroy(surfaces[k]);
    }
}

static const char *write_pdf(const char *folder, const char *name, const char *text)
{
    const char *path = in(folder, name);

    write_file(path, text, strlen(text));
    return path;
}

/* Poppler finds objects by itself where the cross-reference table is missing. */
#define PDF(pages, page, trailer)                                                                            \
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages" pages ">>endobj\n" page     \
    "\ntrailer<</Root 1 0 R/Size 5" trailer ">>\n%%EOF\n"
#define ID        "<00112233445566778899aabbccddeeff>"
#define HASH      "<000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f>"
#define LOCK      "/Encrypt<</Filter/Standard/V 1/R 2/P -4/O" HASH "/U" HASH ">>"
#define PAGE(box) "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[" box "]>>endobj"

static void broken_documents_end_clearly(void **state)
{
    size_t len;
    char *whole = read_file(make_pdf(*state, "whole.pdf", 1), &len);
    const char *input;

    assert_int_equal(outcome(*state, "png", write_pdf(*state, "a.pdf", "%PDF-1.4\nnothing"), "{}"),
                     OUTCOME_CORRUPT_INPUT);
    input = write_pdf(*state, "b.pdf", PDF("/Kids[]/Count 0", "", ""));
    assert_int_equal(outcome(*state, "png", input, "{}"), OUTCOME_CORRUPT_INPUT);
    input = write_pdf(*state, "c.pdf", PDF("/Kids[3 0 R]/Count 1", "", ""));
    assert_int_equal(outcome(*state, "txt", input, "{}"), OUTCOME_CORRUPT_INPUT);
    input = write_pdf(*state, "d.pdf", PDF("/Kids[3 0 R]/Count 1", PAGE("0 0 200 200"), ""));
    assert_int_equal(outcome(*state, "png", input, "{}"), OUTCOME_OK);
    assert_int_equal(outcome(*state, "txt", input, "{}"), OUTCOME_NO_OUTPUT); /* an empty page */
    /* a password of which nothing but the dictionary exists */
    input =
        write_pdf(*state, "e.pdf", PDF("/Kids[3 0 R]/Count 1", PAGE("0 0 200 200"), "/ID[" ID ID "]" LOCK));
    assert_int_equal(outcome(*state, "png", input, "{}"), OUTCOME_PASSWORD_REQUIRED);
    write_file(in(*state, "half.pdf"), whole, len / 3);
    assert_int_equal(outcome(*state, "png", in(*state, "half.pdf"), "{}"), OUTCOME_CORRUPT_INPUT);
    free(whole);
}

/* Empty square pages, of which the one at `odd` is object 4. */
static const char *make_squares(const char *folder, int pages, unsigned side, int odd, const char *fourth)
{
    char kids[512] = "", text[1024];

    for (int page = 0; page < pages; page++)
        strcat(kids, page == odd ? "4 0 R " : "3 0 R ");
    snprintf(text, sizeof text,
             "%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
             "2 0 obj<</Type/Pages/Kids[%s]/Count %d>>endobj\n" PAGE(
                 "0 0 %u %u") "\n"
                              "%s\ntrailer<</Root 1 0 R/Size 5>>\n%%%%EOF\n",
             kids, pages, side, side, fourth);
    return write_pdf(folder, "squares.pdf", text);
}

/* A result with a page missing would look whole. */
static void one_bad_page_fails_the_whole(void **state)
{
    static const char huge[] = "4 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]>>endobj";
    static const int places[] = {0, 1, 20, 39, -1};

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        bool none = places[i] < 0;

        assert_int_equal(outcome(*state, "png", make_squares(*state, 40, 200, places[i], huge), "{}"),
                         none ? OUTCOME_OK : OUTCOME_TOO_COMPLEX);
        assert_int_equal(outcome(*state, "png", make_squares(*state, 40, 200, places[i], ""), "{}"),
                         none ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT);
    }
}

static enum outcome open_with(const char *folder, const char *options)
{
    return outcome(folder, "txt", in(folder, "secret.pdf"), options);
}

static void the_right_password_opens_and_no_other(void **state)
{
    static const char *const bits[] = {"40", "128", "256"};

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        const char *plain = make_pdf(*state, "plain.pdf", 1);
        char words[512], argument[256];

        /* qpdf takes the words of its command line from a file, one a line */
        snprintf(words, sizeof words, "--allow-weak-crypto\n--encrypt\nsecret 12\nowner\n%s\n--\n%s\n%s\n",
                 bits[i], plain, in(*state, "secret.pdf"));
        write_file(in(*state, "words"), words, strlen(words));
        snprintf(argument, sizeof argument, "@%s", in(*state, "words"));
        free(output_of("qpdf", argument));
        assert_int_equal(open_with(*state, "{}"), OUTCOME_PASSWORD_REQUIRED);
        assert_int_equal(open_with(*state, "{\"password\": \"secret 1\"}"), OUTCOME_PASSWORD_REQUIRED);
        assert_int_equal(open_with(*state, "{\"password\": \"secret 12\"}"), OUTCOME_OK);
        assert_int_equal(open_with(*state, "{\"password\": \"owner\"}"), OUTCOME_OK);
    }
}

/* Pages without text, as a scanner makes them. */
static void no_text_is_no_output(void **state)
{
    const char *one = write_pdf(*state, "one.pdf", PDF("/Kids[3 0 R]/Count 1", PAGE("0 0 200 200"), ""));
    const char *two =
        write_pdf(*state, "two.pdf", PDF("/Kids[3 0 R 3 0 R]/Count 2", PAGE("0 0 200 200"), ""));

    assert_int_equal(outcome(*state, "txt", one, "{}"), OUTCOME_NO_OUTPUT);
    assert_int_equal(outcome(*state, "txt", two, "{}"), OUTCOME_NO_OUTPUT);
    assert_int_equal(outcome(*state, "html", two, "{}"), OUTCOME_OK);
    assert_int_equal(outcome(*state, "svg", two, "{}"), OUTCOME_OK);
}

static void limits_are_kept(void **state)
{
    const char *input =
        write_pdf(*state, "large.pdf", PDF("/Kids[3 0 R]/Count 1", PAGE("0 0 14400 14400"), ""));

    assert_int_equal(outcome(*state, "png", input, "{\"dpi\": 72}"), OUTCOME_TOO_COMPLEX);
    assert_int_equal(outcome(*state, "jpg", input, "{\"dpi\": 600}"), OUTCOME_TOO_COMPLEX);
    assert_int_equal(outcome(*state, "txt", make_pdf(*state, "long.pdf", 2001), "{}"), OUTCOME_TOO_COMPLEX);
}

/* Surfaces of 144 MB, of which six would be in the ring of three threads: they wait for each other. */
static int convert_in_768_mib(const char *input)
{
    static const struct rlimit limit = {768 << 20, 768 << 20};
    char output[] = "/tmp/decant-test-XXXXXX", path[64];
    struct engine_job job = {.from = format_by_id("pdf"),
                             .to = format_by_id("png"),
                             .input_path = input,
                             .output_path = mkdtemp(output),
                             .options = json_loads("{\"dpi\": 144}", 0, NULL),
                             .report_fd = -1};
    enum outcome outcome = setrlimit(RLIMIT_AS, &limit) == 0 ? engine_pdf.convert(&job) : OUTCOME_INTERNAL;

    snprintf(path, sizeof path, "%s/result.zip", output);
    return unlink(path) == 0 && rmdir(output) == 0 && outcome == OUTCOME_OK ? 0 : -1;
}

static void large_pages_fit_the_memory(void **state)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* their own memory has no place in a limited address space */
#endif
    run_apart(convert_in_768_mib, make_squares(*state, 12, 3000, -1, ""));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_target_as_file_or_archive),
        cmocka_unit_test(archive_is_what_libzip_expects),
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(threads_fit_pages_and_cores),
        cmocka_unit_test(png_has_the_resolution_asked_for),
        cmocka_unit_test(pictures_fit_where_they_are_asked_to),
        cmocka_unit_test(text_makes_no_colours_and_pictures_do),
        cmocka_unit_test(text_keeps_columns_and_pages),
        cmocka_unit_test(html_is_escaped_and_styled),
        cmocka_unit_test(paper_has_the_colour_asked_for),
        cmocka_unit_test(surfaces_are_white_whatever_was_on_them),
        cmocka_unit_test(broken_documents_end_clearly),
        cmocka_unit_test(the_right_password_opens_and_no_other),
        cmocka_unit_test(no_text_is_no_output),
        cmocka_unit_test(one_bad_page_fails_the_whole),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(large_pages_fit_the_memory),
    };

    return run_engine_tests(&engine_pdf, tests, ARRAY_SIZE(tests));
}
