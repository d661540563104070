/* What would make a result today, as far as all workers agree. */
#include "api/editions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct worker_info usual = {
    .version = "0.1.0",
    .scanner = "up",
    .scanner_detail = "ClamAV 1.0/27000",
    .engines = "{\"image\": {\"state\": \"up\", \"version\": \"libvips 8\"},"
               " \"pdf\": {\"state\": \"up\", \"version\": \"Poppler 22\"}}",
};

static struct editions learn(const struct worker_info *workers, size_t n)
{
    struct editions e;

    editions_learn(&e, workers, n);
    return e;
}

static void what_all_say_is_known(void **state)
{
    const struct worker_info workers[] = {usual, usual};
    struct editions e = learn(workers, 2);

    assert_string_equal(e.decant, "0.1.0");
    assert_string_equal(e.scanner, "up ClamAV 1.0/27000");
    assert_string_equal(editions_of(&e, "image"), "libvips 8");
    assert_string_equal(editions_of(&e, "pdf"), "Poppler 22");
    assert_string_equal(editions_of(&e, "office"), "");
    assert_string_equal(editions_of(&e, "nothing"), "");
}

static void nothing_is_known_of_no_workers(void **state)
{
    struct editions e = learn(NULL, 0);

    assert_string_equal(e.decant, "");
    assert_string_equal(e.scanner, "");
    assert_string_equal(editions_of(&e, "image"), "");
}

/* Whichever of them is asked first. */
static void what_they_differ_about_is_not(void **state)
{
    const struct worker_info workers[] = {
        usual,
        {.version = "0.2.0",
         .scanner = "up",
         .scanner_detail = "ClamAV 1.0/27001",
         .engines = "{\"image\": {\"state\": \"up\", \"version\": \"libvips 9\"},"
                    " \"pdf\": {\"state\": \"starting\", \"version\": \"\"}}"},
        usual,
    };

    for (size_t first = 0; first < 2; first++) {
        struct editions e = learn(workers + first, 2);

        assert_string_equal(e.decant, "");
        assert_string_equal(e.scanner, "");
        assert_string_equal(editions_of(&e, "image"), "");
        assert_string_equal(editions_of(&e, "pdf"), "");
    }
    struct editions all = learn(workers, 3); /* the third says again what the first has said */

    assert_string_equal(all.decant, "");
    assert_string_equal(editions_of(&all, "image"), "");
}

static void a_scanner_has_to_be_there_or_off(void **state)
{
    static const char *const absent[] = {"down", "unfit", "unknown", ""};
    struct worker_info worker = usual;

    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        worker.scanner = absent[i];
        assert_string_equal(learn(&worker, 1).scanner, "");
    }
    worker.scanner = "off";
    assert_string_equal(learn(&worker, 1).scanner, "off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_say_is_known),
        cmocka_unit_test(nothing_is_known_of_no_workers),
        cmocka_unit_test(what_they_differ_about_is_not),
        cmocka_unit_test(a_scanner_has_to_be_there_or_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
