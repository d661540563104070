/* What the media engine does with subtitles itself. */
#include "engine/media/subtitles.h"

#include "core/str.h"
#include "engine/media/streams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96];

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/decant-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/result.srt", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char text[96];

    snprintf(text, sizeof text, "%s/result.txt", folder);
    unlink(text);
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *data, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}
#define WRITE(text) write_file(text, sizeof(text) - 1)

static void becomes(const char *expected)
{
    struct engine_job job = {.output_path = folder, .output_name = "result.srt"};
    char name[96], text[256] = "";
    FILE *file;

    assert_int_equal(subtitles_to_text(&job), *expected ? OUTCOME_OK : OUTCOME_NO_OUTPUT);
    assert_string_equal(job.output_name, "result.txt");
    assert_int_equal(access(path, F_OK), -1);
    snprintf(name, sizeof name, "%s/%s", folder, job.output_name);
    file = fopen(name, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static void the_text_is_taken_out(void **state)
{
    WRITE("1\n00:00:00,000 --> 00:00:01,000\n<font face=\"x\">{\\an8}Hello <i>there</i></font>\nfriend\n\n"
          "2\n00:00:01,000 --> 00:00:02,000\n42\n\n\n3\n00:00:03,000 --> 00:00:04,000\n2 < 3 > 1 {x}\n");
    becomes("Hello there\nfriend\n\n42\n\n2 < 3 > 1 {x}\n");
    WRITE("1\r\n00:00:00,000 --> 00:00:01,000\r\nwithout an end");
    becomes("without an end\n");
    WRITE("1\n00:00:00,000 --> 00:00:01,000\n<b></b>\n\n2\n00:00:00,000 --> 00:00:01,000\n");
    becomes("");
    WRITE("");
    becomes("");
}

static const char *charset(void)
{
    const char *found;

    assert_int_equal(subtitles_charset(path, &found), 0);
    return found;
}

static void what_is_no_utf8_is_windows_1252(void **state)
{
    WRITE("Gr\xc3\xbc\xc3\x9f\x65\n");
    assert_null(charset());
    WRITE("\xff\xfeH\0i\0\xe4\0");
    assert_null(charset());
    WRITE("one\ntwo\nGr\xfc\xdf\x65\n");
    assert_string_equal(charset(), "WINDOWS-1252");
    WRITE("");
    assert_null(charset());
    assert_int_equal(unlink(path), 0);
    assert_int_equal(subtitles_charset(path, &(const char *){NULL}), -ENOENT);
}

static void the_first_bytes_are_had(void **state)
{
    char head[MEDIA_HEAD];

    WRITE("\0\0\1\xb3");
    assert_int_equal(media_head(path, head), 4);
    assert_memory_equal(head, "\0\0\1\xb3", 4);
    WRITE("0123456789abcdef0123456789");
    assert_int_equal(media_head(path, head), MEDIA_HEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_taken_out),
        cmocka_unit_test(what_is_no_utf8_is_windows_1252),
        cmocka_unit_test(the_first_bytes_are_had),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
