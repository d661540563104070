/* The pages engine on documents drawn here by cairo; results are read by Poppler and libzip. */
#include "engine/pages/pages.h"

#include "core/str.h"
#include "engine/pages/merge.h"
#include "media/run.h"

#include <cairo-pdf.h>
#include <poppler.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zip.h>

enum { PART_MAX = 4 << 20 };

/* Noise as large as a page, which no compression makes smaller. */
static void draw_noise(cairo_t *cr, int side)
{
    cairo_surface_t *noise = cairo_image_surface_create(CAIRO_FORMAT_RGB24, side, side);
    unsigned char *data = cairo_image_surface_get_data(noise);
    size_t n = (size_t)cairo_image_surface_get_stride(noise) * (size_t)side;
    static unsigned seed = 1;

    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
    cairo_surface_mark_dirty(noise);
    cairo_set_source_surface(cr, noise, 0, 0);
    cairo_paint(cr);
    cairo_surface_destroy(noise);
}

/* Pages that say "<word>1" and so on; each with `noise`² pixels of noise. */
static const char *make_pdf(const char *folder, const char *name, const char *word, int pages, int noise)
{
    const char *path = in(folder, name);
    cairo_surface_t *surface = cairo_pdf_surface_create(path, 300, 200);
    cairo_t *cr = cairo_create(surface);

    for (int i = 1; i <= pages; i++) {
        char text[64];

        if (noise)
            draw_noise(cr, noise);
        cairo_set_source_rgb(cr, 0, 0, 0);
        cairo_move_to(cr, 20, 100);
        snprintf(text, sizeof text, "%s%d", word, i);
        cairo_show_text(cr, text);
        cairo_show_page(cr);
    }
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    cairo_surface_destroy(surface);
    return path;
}

static struct run good(const char *folder, const char *input, const char *options)
{
    return run_good(&pages_engine, folder, "pdf", "pdf", input, options);
}

static enum outcome outcome(const char *folder, const char *input, const char *options)
{
    return run_convert(&pages_engine, folder, "pdf", "pdf", input, options).outcome;
}

/* --- what Poppler sees */

static PopplerDocument *read_pdf(const char *path, const char *password)
{
    char *uri = g_filename_to_uri(path, NULL, NULL);
    PopplerDocument *document = poppler_document_new_from_file(uri, password, NULL);

    g_free(uri);
    return document;
}

static void get_texts(const char *path, const char *password, char ret[1024])
{
    PopplerDocument *document = read_pdf(path, password);

    assert_non_null(document);
    *ret = '\0';
    for (int i = 0; i < poppler_document_get_n_pages(document); i++) {
        PopplerPage *page = poppler_document_get_page(document, i);
        char *text = poppler_page_get_text(page);

        snprintf(ret + strlen(ret), 1024 - strlen(ret), "%s%s", i > 0 ? "," : "", text);
        g_free(text);
        g_object_unref(page);
    }
    g_object_unref(document);
}

static void assert_texts(const char *path, const char *password, const char *expected)
{
    char texts[1024];

    get_texts(path, password, texts);
    assert_string_equal(texts, expected);
}

/* --- tests */

static void asked_for_nothing_it_writes_anew(void **state)
{
    const char *input = make_pdf(*state, "plain.pdf", "p", 3, 0);
    struct run run = good(*state, input, "{}");

    assert_texts(run.path, NULL, "p1,p2,p3");
    assert_string_equal(run.name, "result.pdf");
    assert_int_equal(run.pages, 3);
    run_again(&pages_engine, &run, "pdf", "pdf", input, "{}");
}

static void pages_are_chosen_in_the_order_wanted(void **state)
{
    const char *input = make_pdf(*state, "five.pdf", "p", 5, 0);

    assert_texts(good(*state, input, "{\"pages\": \"2-3\"}").path, NULL, "p2,p3");
    assert_texts(good(*state, input, "{\"pages\": \"z-4,1,1,r2\"}").path, NULL, "p5,p4,p1,p1,p4");
}

static void a_page_that_is_not_there_is_an_error(void **state)
{
    const char *input = make_pdf(*state, "five.pdf", "p", 5, 0);

    assert_int_equal(outcome(*state, input, "{\"pages\": \"6\"}"), OUTCOME_BAD_OPTIONS);
    assert_int_equal(outcome(*state, input, "{\"pages\": \"1-6\"}"), OUTCOME_BAD_OPTIONS);
    assert_int_equal(outcome(*state, input, "{\"pages\": \"r6\"}"), OUTCOME_BAD_OPTIONS);
}

static void pages_are_turned(void **state)
{
    struct run run = good(*state, make_pdf(*state, "one.pdf", "p", 1, 0), "{\"rotate\": \"90\"}");
    PopplerDocument *document = read_pdf(run.path, NULL);
    PopplerPage *page = poppler_document_get_page(document, 0);
    double width, height;

    poppler_page_get_size(page, &width, &height);
    assert_int_equal(width, 200);
    assert_int_equal(height, 300);
    g_object_unref(page);
    g_object_unref(document);
}

static void locked_results_ask_for_the_password(void **state)
{
    static const char secret[] = "--empty Größe";
    struct run run = good(*state, make_pdf(*state, "one.pdf", "p", 1, 0),
                          "{\"new_password\": \"--empty Größe\", \"allow\": \"print+copy\"}");
    PopplerDocument *document = read_pdf(run.path, secret);
    PopplerPermissions allowed = poppler_document_get_permissions(document);

    assert_null(read_pdf(run.path, NULL));
    assert_null(read_pdf(run.path, "other"));
    assert_texts(run.path, secret, "p1");
    assert_true(allowed & POPPLER_PERMISSIONS_OK_TO_PRINT);
    assert_true(allowed & POPPLER_PERMISSIONS_OK_TO_COPY);
    assert_false(allowed & POPPLER_PERMISSIONS_OK_TO_MODIFY);
    assert_false(allowed & POPPLER_PERMISSIONS_OK_TO_ADD_NOTES);
    g_object_unref(document);

    assert_int_equal(outcome(*state, run.path, "{}"), OUTCOME_PASSWORD_REQUIRED);
    assert_int_equal(outcome(*state, run.path, "{\"password\": \"other\"}"), OUTCOME_PASSWORD_REQUIRED);
    assert_texts(good(*state, run.path, "{\"password\": \"--empty Größe\"}").path, NULL, "p1");
}

static void without_a_password_rights_alone_are_taken(void **state)
{
    struct run run = good(*state, make_pdf(*state, "one.pdf", "p", 1, 0), "{\"allow\": \"none\"}");
    PopplerDocument *document = read_pdf(run.path, NULL);

    assert_non_null(document);
    assert_int_equal(poppler_document_get_permissions(document) &
                         (POPPLER_PERMISSIONS_OK_TO_PRINT | POPPLER_PERMISSIONS_OK_TO_COPY |
                          POPPLER_PERMISSIONS_OK_TO_MODIFY),
                     0);
    g_object_unref(document);
}

static void results_are_linearized(void **state)
{
    struct run run = good(*state, make_pdf(*state, "many.pdf", "p", 20, 0), "{\"linearize\": true}");
    PopplerDocument *document = read_pdf(run.path, NULL);

    assert_true(poppler_document_is_linearized(document));
    g_object_unref(document);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void compression_makes_it_smaller(void **state)
{
    const char *input = make_pdf(*state, "noisy.pdf", "p", 20, 100);
    struct run plain = good(*state, input, "{}"), tight = good(*state, input, "{\"compress\": \"lossless\"}");
    struct run lossy = good(*state, input, "{\"compress\": \"lossy\"}");

    assert_true(size_of(tight.path) < size_of(plain.path));
    assert_true(size_of(lossy.path) < size_of(tight.path));
    assert_texts(tight.path, NULL, "p1,p2,p3,p4,p5,p6,p7,p8,p9,p10,p11,p12,p13,p14,p15,p16,p17,p18,p19,p20");
}

/* --- several files */

/* The entry as a file beside the archive. */
static const char *unpack(const char *folder, zip_t *zip, zip_uint64_t i, zip_stat_t *st)
{
    zip_file_t *file = zip_fopen_index(zip, i, 0);
    _cleanup_free_ char *data = malloc(PART_MAX);
    const char *path = in(folder, "part.pdf");

    assert_non_null(file);
    assert_non_null(data);
    assert_int_equal(zip_stat_index(zip, i, 0, st), 0);
    assert_int_equal(zip_fread(file, data, PART_MAX), st->size);
    assert_int_equal(zip_fclose(file), 0);
    write_file(path, data, st->size);
    return path;
}

static void splits_by_pages(void **state)
{
    static const struct {
        const char *name, *texts;
    } parts[] = {{"pages-01-05.pdf", "p1,p2,p3,p4,p5"},
                 {"pages-06-10.pdf", "p6,p7,p8,p9,p10"},
                 {"pages-11-12.pdf", "p11,p12"}};
    struct run run =
        good(*state, make_pdf(*state, "dozen.pdf", "p", 12, 0), "{\"split\": 5, \"new_password\": \"x\"}");
    zip_t *zip = zip_open(run.path, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
    zip_stat_t st;

    assert_string_equal(run.format, "zip");
    assert_non_null(zip);
    assert_int_equal(zip_get_num_entries(zip, 0), ARRAY_SIZE(parts));
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        const char *path = unpack(*state, zip, i, &st);

        assert_string_equal(st.name, parts[i].name);
        assert_texts(path, "x", parts[i].texts);
        assert_null(read_pdf(path, NULL)); /* each is locked */
    }
    zip_discard(zip);
}

static void one_part_is_a_file(void **state)
{
    const char *input = make_pdf(*state, "five.pdf", "p", 5, 0);
    struct run run = good(*state, input, "{\"split\": 5}");

    assert_string_equal(run.format, "pdf");
    assert_texts(run.path, NULL, "p1,p2,p3,p4,p5");
    assert_string_equal(good(*state, input, "{\"split_size\": 1}").format, "pdf");
    assert_string_equal(good(*state, input, "{\"split\": 4}").format, "zip");
}

/* A page is 270 kB, three of them are less than a MB. */
static void splits_by_size(void **state)
{
    static const char *const options[] = {"{\"split_size\": 1}", "{\"split_size\": 1, \"split\": 2}"};
    static const zip_int64_t counts[] = {4, 6};
    const char *input = make_pdf(*state, "noisy.pdf", "p", 11, 300);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct run run = good(*state, input, options[i]);
        zip_t *zip = zip_open(run.path, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
        char all[1024] = "", texts[1024];
        zip_stat_t st;

        assert_non_null(zip);
        assert_int_equal(zip_get_num_entries(zip, 0), counts[i]);
        for (zip_uint64_t k = 0; k < (zip_uint64_t)counts[i]; k++) {
            get_texts(unpack(*state, zip, k, &st), NULL, texts);
            assert_true(st.size <= 1000 * 1000);
            strcat(strcat(all, k > 0 ? "," : ""), texts);
        }
        assert_string_equal(all, "p1,p2,p3,p4,p5,p6,p7,p8,p9,p10,p11");
        zip_discard(zip);
    }
}

static void a_page_that_is_too_large_is_an_error(void **state)
{
    const char *input = make_pdf(*state, "large.pdf", "p", 2, 700); /* 1.5 MB each */

    assert_int_equal(outcome(*state, input, "{\"split_size\": 1}"), OUTCOME_BAD_OPTIONS);
    assert_string_equal(good(*state, input, "{\"split_size\": 2}").format, "zip");
}

/* --- joining */

static enum outcome merge(const char *folder, const char *output, const char *options)
{
    struct engine_job job = {.from = format_by_id("pdf"),
                             .to = format_by_id("pdf"),
                             .input_path = folder,
                             .output_path = output,
                             .options = json_loads(options, 0, NULL),
                             .report_fd = -1};
    enum outcome joined = merge_write(&job);

    json_decref((json_t *)job.options);
    return joined;
}

static void files_are_joined_in_their_order(void **state)
{
    _cleanup_free_ char *folder = strdup(in(*state, "parts")), *output = strdup(in(*state, "joined"));

    assert_true(folder && output);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(output, 0700), 0);
    make_pdf(folder, "0002.pdf", "b", 1, 0);
    make_pdf(folder, "0010.pdf", "c", 2, 0);
    make_pdf(folder, "0001.pdf", "a", 2, 0);
    write_file(in(folder, "index.json"), "[]", 2);
    assert_int_equal(merge(folder, output, "{}"), OUTCOME_OK);
    assert_texts(in(output, "result.pdf"), NULL, "a1,a2,b1,c1,c2");

    struct run locked = good(*state, in(folder, "0002.pdf"), "{\"new_password\": \"x\"}");

    assert_int_equal(rename(locked.path, in(folder, "0002.pdf")), 0);
    assert_int_equal(merge(folder, output, "{}"), OUTCOME_PASSWORD_REQUIRED);
    assert_int_equal(merge(folder, output, "{\"password\": \"x\"}"), OUTCOME_OK);
    assert_texts(in(output, "result.pdf"), NULL, "a1,a2,b1,c1,c2");

    write_file(in(folder, "0010.pdf"), "%PDF-1.7\n", 9);
    assert_int_equal(merge(folder, output, "{\"password\": \"x\"}"), OUTCOME_CORRUPT_INPUT);
}

/* --- damage */

static const char *damage(const char *folder, const char *name, const char *from, const char *to)
{
    static const char text[] = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                               "2 0 obj<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>endobj\n"
                               "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
                               "4 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
                               "trailer<</Root 1 0 R/Size 5>>\n%%EOF\n";
    const char *path = in(folder, name), *at = strstr(text, from);
    char bytes[1024];

    assert_non_null(at);
    snprintf(bytes, sizeof bytes, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    write_file(path, bytes, strlen(bytes));
    return path;
}

static void damage_is_mended_where_nothing_is_lost(void **state)
{
    const char *mended = damage(*state, "table.pdf", "%%EOF", "startxref 99 %%EOF");
    const char *broken[] = {
        damage(*state, "lost.pdf", "4 0 obj", "8 0 obj"),  damage(*state, "root.pdf", "1 0 obj", "7 0 obj"),
        damage(*state, "none.pdf", "[3 0 R 4 0 R]", "[]"), damage(*state, "null.pdf", "[3 0 R", "[null"),
        damage(*state, "loop.pdf", "[3 0 R", "[2 0 R"),
    };

    assert_int_equal(good(*state, mended, "{}").pages, 2);
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_int_equal(outcome(*state, broken[i], "{}"), OUTCOME_CORRUPT_INPUT);
    assert_int_equal(outcome(*state, broken[0], "{\"split\": 1}"), OUTCOME_CORRUPT_INPUT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_for_nothing_it_writes_anew),
        cmocka_unit_test(pages_are_chosen_in_the_order_wanted),
        cmocka_unit_test(a_page_that_is_not_there_is_an_error),
        cmocka_unit_test(pages_are_turned),
        cmocka_unit_test(locked_results_ask_for_the_password),
        cmocka_unit_test(without_a_password_rights_alone_are_taken),
        cmocka_unit_test(results_are_linearized),
        cmocka_unit_test(compression_makes_it_smaller),
        cmocka_unit_test(splits_by_pages),
        cmocka_unit_test(one_part_is_a_file),
        cmocka_unit_test(splits_by_size),
        cmocka_unit_test(a_page_that_is_too_large_is_an_error),
        cmocka_unit_test(files_are_joined_in_their_order),
        cmocka_unit_test(damage_is_mended_where_nothing_is_lost),
    };

    return run_engine_tests(&pages_engine, tests, ARRAY_SIZE(tests));
}
