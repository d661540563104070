/* The OCR engine on documents drawn here by cairo, up to where qpdf would be executed, which is shown by the
 * tests of the system. */
#include "engine/ocr/layer.h"
#include "engine/ocr/ocr.h"
#include "engine/ocr/scan.h"

#include "core/str.h"
#include "media/run.h"

#include <cairo-pdf.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH = 400, HEIGHT = 200, SIDE_MAX = 14400 /* points, of a page that readers take */ };

/* Pages with a number on each; without one where `text` is NULL. */
static const char *make_pdf(const char *folder, double width, double height, int pages, const char *text)
{
    const char *path = in(folder, "input.pdf");
    cairo_surface_t *surface = cairo_pdf_surface_create(path, width, height);
    cairo_t *cr = cairo_create(surface);

    cairo_select_font_face(cr, "Liberation Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 24);
    for (int i = 1; i <= pages; i++) {
        char line[64];

        cairo_move_to(cr, 40, 80);
        snprintf(line, sizeof line, "%s %d", text ? text : "", i);
        if (text)
            cairo_show_text(cr, line);
        cairo_show_page(cr);
    }
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    cairo_surface_destroy(surface);
    return path;
}

static enum outcome outcome(const char *folder, const char *input, const char *options)
{
    return run_convert(&engine_ocr, folder, "pdf", "txt", input, options).outcome;
}

static void pages_are_read(void **state)
{
    struct run run =
        run_good(&engine_ocr, *state, "pdf", "txt", make_pdf(*state, WIDTH, HEIGHT, 2, "Page"), "{}");
    _cleanup_free_ char *text = read_file(run.path, NULL);

    assert_string_equal(text, "Page 1\n\fPage 2\n");
    assert_int_equal(run.pages, 2);
    run_again(&engine_ocr, &run, "pdf", "txt", in(*state, "input.pdf"), "{}");
}

static void languages_are_looked_for(void **state)
{
    const char *input = make_pdf(*state, WIDTH, HEIGHT, 1, "Page");

    assert_int_equal(outcome(*state, input, "{\"ocr\": \"eng\"}"), OUTCOME_OK);
    assert_int_equal(outcome(*state, input, "{\"ocr\": \"eng+xxx\"}"), OUTCOME_LANGUAGE_MISSING);
    assert_int_equal(outcome(*state, input, "{\"ocr\": \"xxx+eng\"}"), OUTCOME_LANGUAGE_MISSING);
}

static void nothing_is_no_text(void **state)
{
    assert_int_equal(outcome(*state, make_pdf(*state, WIDTH, HEIGHT, 2, NULL), "{}"), OUTCOME_NO_OUTPUT);
    assert_int_equal(outcome(*state, make_pdf(*state, 1, 1, 1, NULL), "{}"), OUTCOME_NO_OUTPUT);
}

static void what_is_no_document_says_so(void **state)
{
    write_file(in(*state, "broken.pdf"), "%PDF-1.4\n", 9);
    assert_int_equal(outcome(*state, in(*state, "broken.pdf"), "{}"), OUTCOME_CORRUPT_INPUT);
}

static void pages_are_counted_first(void **state)
{
    assert_int_equal(outcome(*state, make_pdf(*state, WIDTH, HEIGHT, 2001, "Page"), "{}"),
                     OUTCOME_TOO_COMPLEX);
}

/* --- what Tesseract gets to see */

static enum outcome draw(const char *path, bool without_text, struct scan *ret)
{
    _cleanup_document_ PopplerDocument *document = NULL;
    _cleanup_page_ PopplerPage *page = NULL;

    assert_int_equal(document_open(path, NULL, &document), OUTCOME_OK);
    assert_int_equal(page_open(document, 0, &page), OUTCOME_OK);
    return scan_draw(page, without_text, ret);
}

static bool is_white(const struct scan *s)
{
    for (int i = 0; i < s->width * s->height; i++)
        if (s->pixels[i] != 255)
            return false;
    return true;
}

static void pages_have_the_resolution_of_scans(void **state)
{
    _cleanup_scan_ struct scan s = {0};

    assert_int_equal(draw(make_pdf(*state, 72, 144, 1, NULL), false, &s), OUTCOME_OK);
    assert_int_equal(s.dpi, 300);
    assert_int_equal(s.width, 300);
    assert_int_equal(s.height, 600);
    assert_true(is_white(&s));
}

static void large_pages_are_drawn_coarsely(void **state)
{
    static const double sizes[][2] = {{SIDE_MAX, SIDE_MAX}, {SIDE_MAX, 72}, {1, SIDE_MAX}, {1684, 2384}};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        const double *size = sizes[i];
        _cleanup_scan_ struct scan s = {0};

        assert_int_equal(draw(make_pdf(*state, size[0], size[1], 1, NULL), false, &s), OUTCOME_OK);
        assert_true(s.width < 32768 && s.height < 32768);
        assert_true((double)s.width * s.height < 21e6);
        assert_true(fabs(s.width - size[0] * s.dpi / 72) <= 1 && fabs(s.height - size[1] * s.dpi / 72) <= 1);
    }
}

static void text_can_be_left_out(void **state)
{
    const char *path = make_pdf(*state, WIDTH, HEIGHT, 1, "Page");
    _cleanup_scan_ struct scan with = {0}, without = {0};

    assert_int_equal(draw(path, false, &with), OUTCOME_OK);
    assert_int_equal(draw(path, true, &without), OUTCOME_OK);
    assert_false(is_white(&with));
    assert_true(is_white(&without));
}

static bool has_text(const char *path)
{
    _cleanup_document_ PopplerDocument *document = NULL;
    _cleanup_page_ PopplerPage *page = NULL;

    assert_int_equal(document_open(path, NULL, &document), OUTCOME_OK);
    assert_int_equal(page_open(document, 0, &page), OUTCOME_OK);
    return scan_has_text(page);
}

static void text_is_found(void **state)
{
    assert_true(has_text(make_pdf(*state, WIDTH, HEIGHT, 1, "Page")));
    assert_false(has_text(make_pdf(*state, WIDTH, HEIGHT, 1, NULL)));
}

/* --- which pages get a layer */

static void pages_come_in_runs(void **state)
{
    static const int pages[] = {1, 2, 3, 7, 9, 10, 12};
    _cleanup_layer_ struct layer l = LAYER_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        layer_add(&l, pages[i]);
    assert_string_equal(layer_pages(&l), "1-3,7,9-10,12");
}

static void every_other_page_is_named(void **state)
{
    _cleanup_layer_ struct layer l = LAYER_INIT;

    for (int page = 1; page <= 2000; page += 2)
        layer_add(&l, page);
    assert_non_null(layer_pages(&l));
    assert_string_equal(layer_pages(&l) + strlen(layer_pages(&l)) - 10, ",1997,1999");
}

static void no_page_is_none(void **state)
{
    _cleanup_layer_ struct layer l = LAYER_INIT;

    assert_string_equal(layer_pages(&l), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_read),
        cmocka_unit_test(languages_are_looked_for),
        cmocka_unit_test(nothing_is_no_text),
        cmocka_unit_test(what_is_no_document_says_so),
        cmocka_unit_test(pages_are_counted_first),
        cmocka_unit_test(pages_have_the_resolution_of_scans),
        cmocka_unit_test(large_pages_are_drawn_coarsely),
        cmocka_unit_test(text_can_be_left_out),
        cmocka_unit_test(text_is_found),
        cmocka_unit_test(pages_come_in_runs),
        cmocka_unit_test(every_other_page_is_named),
        cmocka_unit_test(no_page_is_none),
    };

    return run_engine_tests(&engine_ocr, tests, ARRAY_SIZE(tests));
}
