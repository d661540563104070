#include "engine/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void names_stay_where_they_are(void **state)
{
    static const char *const good[] = {"a",   "a.txt",   "a/b/c.txt",  "Grüße/ä.pdf",
                                       "...", ".hidden", "a b (2).pdf"};
    static const char *const bad[] = {"",     "/",      "/a",   "a/",   "a//b", ".",    "..",
                                      "../a", "a/../b", "a/..", "a\\b", "c:a",  "a\nb", "a\x7f",
                                      "\xff", "a/./b",  "a|b",  "a*",   "a\x01"};
    char longest[FOLDER_NAME_MAX + 1];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(folder_name_is_safe(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(folder_name_is_safe(bad[i]));
    memset(longest, 'a', sizeof longest);
    longest[256] = '\0';
    assert_false(folder_name_is_safe(longest)); /* a component of more than 255 bytes */
}

static void any_text_becomes_a_name(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"a.txt", "a.txt"},
        {"/etc/passwd", "etc/passwd"},
        {"../../a", "a"},
        {"a\\b\\c.txt", "a/b/c.txt"},
        {"C:\\x.txt", "C_/x.txt"},
        {"a\nb", "a_b"},
        {"\xff\xfe.txt", "__.txt"},
        {"Grüße.pdf", "Grüße.pdf"},
        {"..", ""},
        {"", ""},
        {"a/./b//c", "a/b/c"},
        {"a?b*c", "a_b_c"},
    };
    char name[FOLDER_NAME_MAX], longest[5000];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder_make_name(cases[i].text, name);
        assert_string_equal(name, cases[i].name);
        assert_true(!*name || folder_name_is_safe(name));
    }
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 100 == 99 ? '/' : 'x';
    memcpy(longest + sizeof longest - 10, "/last.txt", 10);
    folder_make_name(longest, name);
    assert_true(folder_name_is_safe(name));
    assert_string_equal(strrchr(name, '/'), "/last.txt");
    memset(longest, 'y', sizeof longest - 1);
    folder_make_name(longest, name);
    assert_true(folder_name_is_safe(name));
}

static int new_folder(char dir[32])
{
    strcpy(dir, "/tmp/test-folder-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void write_index(int folder, const char *text)
{
    _cleanup_close_ int fd = openat(folder, FOLDER_INDEX, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void an_index_comes_back(void **state)
{
    char dir[32];
    _cleanup_close_ int folder = new_folder(dir);
    _cleanup_json_ json_t *files = json_array(), *read = NULL;

    assert_int_equal(folder_read(folder, &read), -ENOENT);
    assert_int_equal(folder_add(files, "0001.pdf", "letters/May.pdf"), 0);
    assert_int_equal(folder_write(folder, files), 0);
    assert_int_equal(folder_read(folder, &read), 0);
    assert_true(json_equal(files, read));
    assert_int_equal(unlinkat(folder, FOLDER_INDEX, 0), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void an_index_is_not_believed(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"files\": {}}",
        "{\"files\": [7]}",
        "{\"files\": [{\"file\": \"0001\"}]}",
        "{\"files\": [{\"file\": \"../x\", \"name\": \"a\"}]}",
        "{\"files\": [{\"file\": \".x\", \"name\": \"a\"}]}",
        "{\"files\": [{\"file\": \"index.json\", \"name\": \"a\"}]}",
        "{\"files\": [{\"file\": \"0001\", \"name\": \"../a\"}]}",
        "{\"files\": [{\"file\": \"000000000000000000000000000000000001\", \"name\": \"a\"}]}",
    };
    char dir[32];
    _cleanup_close_ int folder = new_folder(dir);
    _cleanup_json_ json_t *files = NULL, *many = json_array();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_index(folder, bad[i]);
        assert_int_equal(folder_read(folder, &files), -EBADMSG);
    }
    for (int i = 0; i <= FOLDER_FILES_MAX; i++)
        assert_int_equal(folder_add(many, "0001", "a"), 0);
    assert_int_equal(folder_write(folder, many), 0);
    assert_int_equal(folder_read(folder, &files), -EMSGSIZE);
    assert_int_equal(unlinkat(folder, FOLDER_INDEX, 0), 0);
    assert_int_equal(symlinkat("/etc/hostname", folder, FOLDER_INDEX), 0);
    assert_true(folder_read(folder, &files) < 0);
    assert_int_equal(unlinkat(folder, FOLDER_INDEX, 0), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void files_are_numbered(void **state)
{
    char name[FOLDER_FILE_MAX];

    folder_file_name(1, "pdf", name);
    assert_string_equal(name, "0001.pdf");
    folder_file_name(1000, NULL, name);
    assert_string_equal(name, "1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stay_where_they_are), cmocka_unit_test(any_text_becomes_a_name),
        cmocka_unit_test(an_index_comes_back),       cmocka_unit_test(an_index_is_not_believed),
        cmocka_unit_test(files_are_numbered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
