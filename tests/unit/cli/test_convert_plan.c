/* The command line of `decant convert`; the catalogue is the real one. */
#include "cli/convert_plan.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct convert_plan plan;

static int make(const char *const words[])
{
    static char *argv[16];
    int argc = 0;

    argv[argc++] = (char *)"convert";
    while (words[argc - 1]) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    return convert_plan_make(&plan, argc, argv);
}

#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

static int reset(void **state)
{
    convert_plan_free(&plan);
    unsetenv("DECANT_CLAMD");
    unsetenv("DECANT_JOBS");
    return 0;
}

static void a_pair(void **state)
{
    assert_int_equal(MAKE("in/report.DOCX", "out/report.pdf"), 0);
    assert_int_equal(plan.n_items, 1);
    assert_string_equal(plan.items[0].input, "in/report.DOCX");
    assert_string_equal(plan.items[0].output, "out/report.pdf");
    assert_string_equal(plan.items[0].route->from->id, "docx");
    assert_string_equal(plan.items[0].route->to->id, "pdf");
    assert_string_equal(plan.options, "{}");
    assert_false(plan.json || plan.force);
}

static void many_into_a_folder(void **state)
{
    assert_int_equal(MAKE("a/one.docx", "-o", "out/", "two.v2.odt", "--to", "pdf", "--json"), 0);
    assert_int_equal(plan.n_items, 2);
    assert_string_equal(plan.items[0].output, "out/one.pdf");
    assert_string_equal(plan.items[1].output, "out/two.v2.pdf");
    assert_string_equal(plan.output_dir, "out/");
    assert_true(plan.json);
}

static void many_beside_themselves(void **state)
{
    assert_int_equal(MAKE("--to=jpg", "a/one.png", "/two.webp", "three.png"), 0);
    assert_string_equal(plan.items[0].output, "a/one.jpg");
    assert_string_equal(plan.items[1].output, "/two.jpg");
    assert_string_equal(plan.items[2].output, "three.jpg");
}

static void options_are_checked(void **state)
{
    assert_int_equal(MAKE("a.pdf", "a.png", "--option", "dpi=300"), 0);
    assert_string_equal(plan.options, "{\"dpi\":300}");
    convert_plan_free(&plan);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option=dpi=1000000"), -EINVAL);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option", "dpi=many"), -EINVAL);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option", "nothing=1"), -EINVAL);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option", "dpi"), -EINVAL);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option", "=1"), -EINVAL);
    assert_int_equal(MAKE("a.pdf", "a.png", "--option"), -EINVAL);
}

static void settings_pass_through(void **state)
{
    assert_int_equal(MAKE("-j4", "--job-timeout", "7", "a.png", "a.jpg", "--job-memory=1G"), 0);
    assert_int_equal(plan.settings.jobs, 4);
    assert_int_equal(plan.settings.job_timeout_s, 7);
    assert_int_equal(plan.settings.job_memory_bytes, UINT64_C(1) << 30);
    convert_plan_free(&plan);
    assert_int_equal(MAKE("-j", "2", "a.png", "a.jpg"), 0);
    assert_int_equal(plan.settings.jobs, 2);
    convert_plan_free(&plan);
    assert_int_equal(MAKE("-j", "many", "a.png", "a.jpg"), -EINVAL);
    assert_int_equal(MAKE("--port", "1", "a.png", "a.jpg"), -EINVAL);
}

static void scans_only_when_it_is_asked_to(void **state)
{
    assert_int_equal(MAKE("a.png", "a.jpg"), 0);
    assert_string_equal(plan.settings.clamd, "off");
    convert_plan_free(&plan);
    assert_int_equal(MAKE("a.png", "a.jpg", "--clamd", "unix:/x"), 0);
    assert_string_equal(plan.settings.clamd, "unix:/x");
    convert_plan_free(&plan);
    setenv("DECANT_CLAMD", "unix:/y", 1);
    assert_int_equal(MAKE("a.png", "a.jpg"), 0);
    assert_string_equal(plan.settings.clamd, "unix:/y");
}

static void refuses_what_makes_no_sense(void **state)
{
    assert_int_equal(MAKE("a.docx"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "b.docx", "c.pdf"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "noending"), -EINVAL);
    assert_int_equal(MAKE("a.exe", "a.pdf"), -EINVAL);
    assert_int_equal(MAKE("a.png", "a.docx"), -EINVAL);
    assert_int_equal(MAKE("--to", "pdf"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "--to", "nothing"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "a.pdf", "-o", "out"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "a.pdf", "-x"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "--to"), -EINVAL);
}

static void two_inputs_never_become_one_output(void **state)
{
    assert_int_equal(MAKE("a/x.docx", "b/x.docx", "--to", "pdf", "-o", "out"), -EINVAL);
    assert_int_equal(MAKE("x.docx", "x.odt", "--to", "pdf"), -EINVAL);
    assert_int_equal(MAKE("a/x.docx", "b/x.docx", "--to", "pdf"), 0);
}

static void names_may_begin_with_a_dash(void **state)
{
    assert_int_equal(MAKE("--to", "jpg", "--", "-a.png", "--json"), -EINVAL); /* --json has no known ending */
    assert_int_equal(MAKE("--to", "jpg", "--", "-a.png"), 0);
    assert_string_equal(plan.items[0].output, "-a.jpg");
}

/* Where that is no terminal: the test's is a file or a pipe when it matters. */
static void standard_input_and_output(void **state)
{
    assert_int_equal(MAKE("-", "--from", "MD", "--to", "pdf", "-f"), 0);
    assert_string_equal(plan.items[0].input, "-");
    assert_string_equal(plan.items[0].output, "-");
    assert_string_equal(convert_item_name(&plan, plan.items, 0), "stdin.md");
    assert_string_equal(plan.items[0].route->from->id, "md");
    reset(NULL);
    assert_int_equal(MAKE("-", "--from=txt", "--to", "pdf", "-o", "out"), 0);
    assert_string_equal(plan.items[0].output, "out/stdin.pdf");
    reset(NULL);
    assert_int_equal(MAKE("-", "out.pdf", "--from", "txt"), 0);
    assert_string_equal(plan.items[0].output, "out.pdf");
    reset(NULL);
    assert_int_equal(MAKE("a/x.txt", "--to", "pdf", "-o", "-", "-f"), 0);
    assert_string_equal(plan.items[0].output, "-");
    assert_string_equal(convert_item_name(&plan, plan.items, 0), "x.txt");
    assert_null(plan.output_dir);
    reset(NULL);
    assert_int_equal(MAKE("-", "--to", "pdf"), -EINVAL);
    assert_int_equal(MAKE("-", "--from", "nonsense", "--to", "pdf"), -EINVAL);
    assert_int_equal(MAKE("x.txt", "--from", "md", "--to", "pdf"), -EINVAL);
    assert_int_equal(MAKE("-", "x.txt", "--from", "txt", "--to", "pdf", "-o", "out"), -EINVAL);
    assert_int_equal(MAKE("-", "x.txt", "--from", "txt", "--merge", "all.pdf"), -EINVAL);
    assert_int_equal(MAKE("x.txt", "y.txt", "--to", "pdf", "-o", "-"), -EINVAL);
    assert_int_equal(MAKE("x.txt", "-"), -EINVAL);
    assert_int_equal(MAKE("-", "--from", "txt", "--to", "pdf", "-f", "--json"), -EINVAL);
    assert_int_equal(MAKE("-", "--from", "pdf", "--to", "txt", "-f", "--password-file", "-"), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, reset)

/* What it makes of names is the same; what can be converted, and by which options, is the server's to say. */
static void by_a_server(void **state)
{
    assert_int_equal(MAKE("--server", "a.example", "a.docx", "--to", "pdf", "-o", "out", "--option",
                          "nothing=1", "--keep", "--jobs", "2", "-q"),
                     0);
    assert_string_equal(plan.server, "a.example");
    assert_string_equal(plan.items[0].output, "out/a.pdf");
    assert_string_equal(plan.items[0].to->id, "pdf");
    assert_null(plan.items[0].route);
    assert_string_equal(plan.options, "{\"nothing\":1}");
    assert_int_equal(plan.settings.jobs, 2);
    assert_true(plan.keep && plan.quiet && !plan.insecure_http);
    reset(NULL);
    assert_int_equal(MAKE("--server=a", "a.docx", "b.png", "--merge", "all.pdf"), 0);
    assert_int_equal(plan.items[0].n_inputs, 2);
    reset(NULL);
    assert_int_equal(MAKE("--server=a", "a.docx", "b.nonsense"), -EINVAL);
    assert_int_equal(MAKE("--server=a", "a.docx", "b.odt", "--merge", "nonsense"), -EINVAL);
    assert_int_equal(MAKE("--server=a", "a.docx", "a.pdf", "--clamd", "off"), -EINVAL);
    assert_int_equal(MAKE("--server=a", "a.docx", "a.pdf", "--clamd=off"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "a.pdf", "--keep"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "a.pdf", "--ca-file", "x"), -EINVAL);
    assert_int_equal(MAKE("a.docx", "a.pdf", "--server"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pair),
        TEST(many_into_a_folder),
        TEST(many_beside_themselves),
        TEST(options_are_checked),
        TEST(settings_pass_through),
        TEST(scans_only_when_it_is_asked_to),
        TEST(refuses_what_makes_no_sense),
        TEST(two_inputs_never_become_one_output),
        TEST(names_may_begin_with_a_dash),
        TEST(standard_input_and_output),
        TEST(by_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
