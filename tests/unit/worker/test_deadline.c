#include "worker/deadline.h"

#include "core/cleanup.h"
#include "zip_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

static const struct {
    const char *engine;
    uint64_t content, least_s, most_s, expected_ms;
} cases[] = {
    /* the least of it, when nothing is in it */
    {"office", 0, 30, 120, 30000},
    {"office", 0, 1, 120, 20000},
    {"image", 0, 30, 120, 45000},
    {"image", 0, 60, 120, 60000},
    {"pdf", 0, 30, 120, 60000},
    {"pdf", 0, 90, 120, 90000},
    /* in between */
    {"office", MIB, 30, 120, 80000},
    {"office", 512 * KIB, 30, 120, 50000},
    {"office", MIB / 1000, 1, 120, 20059},
    {"pdf", 512 * KIB, 30, 120, 90000},
    {"image", MIB, 30, 120, 60000},
    {"image", 4 * MIB, 30, 120, 105000},
    /* the most of it */
    {"office", 2 * MIB, 30, 120, 120000},
    {"office", 2 * MIB, 30, 600, 140000},
    {"pdf", MIB, 30, 120, 120000},
    {"image", 100 * MIB, 30, 120, 120000},
    {"image", 0, 7, 7, 7000},
    {"office", 0, 1, 1, 1000},
    {"office", UINT64_MAX / 60000, 30, 86400, 86400000},
    {"office", UINT64_MAX / 60000 + 1, 30, 86400, 86400000},
    {"image", DEADLINE_CONTENT_UNKNOWN, 30, 120, 120000},
    /* nobody knows that engine */
    {"other", 0, 30, 120, 120000},
};

static void is_what_the_content_is_worth(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct settings settings = {.job_timeout_min_s = cases[i].least_s, .job_timeout_s = cases[i].most_s};

        assert_int_equal(deadline_ms(&settings, cases[i].engine, cases[i].content), cases[i].expected_ms);
    }
}

static void grows_with_pages(void **state)
{
    assert_int_equal(deadline_page_ms("pdf"), 2000);
    assert_int_equal(deadline_page_ms("image"), 1000);
    assert_int_equal(deadline_page_ms("office"), 0);
    assert_int_equal(deadline_page_ms("other"), 0);
}

/* With the settings as they come: three times and more of what was measured on a machine with too much to do.
 */
static void leaves_honest_files_their_time(void **state)
{
    static const struct {
        const char *engine;
        uint64_t content, took_ms;
    } measured[] = {{"office", 2500000, 19600}, {"office", MIB, 22300}, {"office", 512 * KIB, 13200},
                    {"pdf", 1000000, 9600},     {"office", MIB, 9100},  {"pdf", 500000, 4100},
                    {"image", 309439, 8600}};
    static const struct settings settings = {.job_timeout_min_s = 30, .job_timeout_s = 120};

    for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
        assert_true(deadline_ms(&settings, measured[i].engine, measured[i].content) >=
                    3 * measured[i].took_ms);
}

static void all_cores_may_be_used_until_the_deadline(void **state)
{
    assert_int_equal(deadline_cpu_s(30000, 1), 30);
    assert_int_equal(deadline_cpu_s(30001, 4), 124);
    assert_int_equal(deadline_cpu_s(30000, 64), 240);
    assert_int_equal(deadline_cpu_s(1, 0), 1);
}

static void a_scan_has_what_its_file_is_worth(void **state)
{
    static const struct settings settings = {.scan_timeout_s = 60}, hasty = {.scan_timeout_s = 2};

    assert_int_equal(deadline_scan_ms(&settings, 0), 10000);
    assert_int_equal(deadline_scan_ms(&settings, 4 * MIB), 12000);
    assert_int_equal(deadline_scan_ms(&settings, 100 * MIB), 60000);
    assert_int_equal(deadline_scan_ms(&settings, 500 * MIB), 60000);
    assert_int_equal(deadline_scan_ms(&settings, DEADLINE_CONTENT_UNKNOWN), 60000);
    assert_int_equal(deadline_scan_ms(&hasty, 0), 2000);
}

static int archive(void)
{
    _cleanup_free_ char *zeros = calloc(1, 100000);
    struct zip_writer *w = zip_writer_new();

    assert_non_null(zeros);
    zip_writer_add_deflated(w, "word/document.xml", zeros, 100000);
    zip_writer_add(w, "word/media/picture.png", zeros, 50);
    return zip_writer_finish(w);
}

static void an_archive_counts_inflated(void **state)
{
    _cleanup_close_ int fd = archive();
    uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);

    assert_true(size < 1000);
    assert_int_equal(deadline_content(fd, format_by_id("docx")), 100050);
    assert_int_equal(deadline_content(fd, format_by_id("odt")), 100050);
    assert_int_equal(deadline_content(fd, format_by_id("epub")), 100050);
    /* What only looks like one is bytes: a PDF may have an archive behind it. */
    assert_int_equal(deadline_content(fd, format_by_id("pdf")), size);
    assert_int_equal(deadline_content(fd, format_by_id("doc")), size);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), size);
}

static void what_cannot_be_told_is_unknown(void **state)
{
    _cleanup_close_ int fd = memfd_create("encrypted", MFD_CLOEXEC);

    assert_int_equal(write(fd, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8), 8);
    assert_true(deadline_content(fd, format_by_id("docx")) == DEADLINE_CONTENT_UNKNOWN);
    assert_int_equal(deadline_content(fd, format_by_id("txt")), 8);
    assert_true(deadline_content(-1, format_by_id("txt")) == DEADLINE_CONTENT_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_the_content_is_worth),
        cmocka_unit_test(grows_with_pages),
        cmocka_unit_test(all_cores_may_be_used_until_the_deadline),
        cmocka_unit_test(leaves_honest_files_their_time),
        cmocka_unit_test(a_scan_has_what_its_file_is_worth),
        cmocka_unit_test(an_archive_counts_inflated),
        cmocka_unit_test(what_cannot_be_told_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
