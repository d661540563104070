/* Whatever an archive calls its entries, they are unpacked below one folder, and no two in one place. */
#include "engine/archive/names.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct names *names;

static int setup(void **state)
{
    return names_new(&names);
}

static int teardown(void **state)
{
    names_free(names);
    return 0;
}

static const char *file(const char *raw)
{
    static char name[NAME_MAX_BYTES + 1];

    assert_int_equal(names_make(names, raw, false, name), 0);
    return name;
}

static int folder(const char *raw)
{
    char name[NAME_MAX_BYTES + 1];

    return names_make(names, raw, true, name);
}

static void nothing_leads_out(void **state)
{
    static const char *const pairs[][2] = {
        {"a/b.txt", "a/b.txt"},
        {"/etc/passwd", "etc/passwd"},
        {"../../x", "x"},
        {"a/../../y", "a/y"},
        {"./c//d/.", "c/d"},
        {"..\\..\\windows\\z.dll", "windows/z.dll"},
        {"C:\\boot.ini", "C_/boot.ini"},
        {"C:boot.ini", "C_boot.ini"},
        {"e/.. /f", "e/f"},
        {"g/... ./h", "g/h"},
        {"i\nj\x1b[2J.txt", "ij[2J.txt"},
        {"cod\u202etxt.exe", "codtxt.exe"},
        {"gr\xc3\xbc\xc3\x9f"
         "e.txt",
         "gr\u00fc\u00dfe.txt"},
        {"k\x81l.txt", "k\u00fcl.txt"}, /* code page 437 */
        {".hidden", ".hidden"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        assert_string_equal(file(pairs[i][0]), pairs[i][1]);
}

static void what_is_no_name_is_none(void **state)
{
    static const char *const raw[] = {"", "/", ".", "..", "../..", "./", " ", "\\", "\n"};
    char name[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < ARRAY_SIZE(raw); i++) {
        assert_int_equal(names_make(names, raw[i], false, name), -ENOENT);
        assert_int_equal(names_make(names, raw[i], true, name), -ENOENT);
    }
}

static void none_occurs_twice(void **state)
{
    assert_string_equal(file("a.txt"), "a.txt");
    assert_string_equal(file("a.txt"), "a (2).txt");
    assert_string_equal(file("/a.txt"), "a (3).txt");
    assert_string_equal(file("a (4).txt"), "a (4).txt");
    assert_string_equal(file("../a.txt"), "a (5).txt");
    assert_int_equal(folder("f"), 0);
    assert_int_equal(folder("f/"), -EEXIST);
    assert_string_equal(file("f"), "f (2)");
    assert_string_equal(file("f/x"), "f/x");
}

/* A file can't be a folder too: what lies in it goes beside it, all of it. */
static void a_file_is_no_folder(void **state)
{
    assert_string_equal(file("a"), "a");
    assert_string_equal(file("a/b"), "a (2)/b");
    assert_string_equal(file("a/c"), "a (2)/c");
    assert_int_equal(folder("a"), -EEXIST);
    assert_string_equal(file("p/q"), "p/q");
    assert_int_equal(folder("p"), -EEXIST);
}

static void long_names_are_cut(void **state)
{
    char raw[5000], *end = raw;

    memset(raw, 'x', 400);
    strcpy(raw + 400, ".txt");
    assert_int_equal(strlen(file(raw)), NAME_COMPONENT_MAX);
    assert_string_equal(file(raw) + NAME_COMPONENT_MAX - 8, " (2).txt");
    for (size_t i = 0; i < 500; i++)
        end += snprintf(end, sizeof raw - (size_t)(end - raw), "d%zu/", i);
    strcpy(end, "last");
    assert_true(strlen(file(raw)) <= NAME_MAX_BYTES);
    assert_non_null(strstr(file(raw), "d499/last"));
    memset(raw, '/', sizeof raw - 1);
    for (size_t i = 0; i < sizeof raw - 2; i += 2)
        raw[i] = 'y';
    raw[sizeof raw - 1] = '\0';
    assert_true(strlen(file(raw)) <= NAME_MAX_BYTES);
}

/* A hundred thousand of one name are numbered without looking at all of them each time. */
static void many_of_a_name(void **state)
{
    char last[32];

    for (unsigned i = 1; i < 100000; i++)
        file("same");
    snprintf(last, sizeof last, "same (%u)", 100000U);
    assert_string_equal(file("same"), last);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_leads_out),   TEST(what_is_no_name_is_none), TEST(none_occurs_twice),
        TEST(a_file_is_no_folder), TEST(long_names_are_cut),      TEST(many_of_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
