#include "captured.h"
#include "core/log.h"
#include "core/str.h"

#include <errno.h>

static struct captured captured;

static const char *one_line(enum log_format format, const char *message, const struct log_field *fields,
                            size_t n)
{
    log_init("test", LOG_LEVEL_INFO, format);
    capture_begin(&captured, STDERR_FILENO);
    log_event(LOG_LEVEL_WARN, message, fields, n);
    return capture_end(&captured);
}

static json_t *json_line(const char *message, const struct log_field *fields, size_t n)
{
    const char *line = one_line(LOG_FORMAT_JSON, message, fields, n);
    json_t *object;

    assert_true(strlen(line) > 1);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1); /* one line */
    object = json_loads(line, 0, NULL);
    assert_non_null(object);
    return object;
}

static void an_event_is_one_json_object(void **state)
{
    const struct log_field fields[] = {LOG_S("job_id", "abc"), LOG_U("ms", 42), LOG_E(-ENOENT),
                                       LOG_S("none", (const char *)NULL), LOG_U("below", -1)};
    _cleanup_json_ json_t *line = json_line("job finished", fields, ARRAY_SIZE(fields));

    assert_string_equal(json_string_value(json_object_get(line, "message")), "job finished");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(line, "program")), "test");
    assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
    assert_string_equal(json_string_value(json_object_get(line, "job_id")), "abc");
    assert_int_equal(json_integer_value(json_object_get(line, "ms")), 42);
    assert_int_equal(json_integer_value(json_object_get(line, "below")), -1);
    assert_string_equal(json_string_value(json_object_get(line, "error")), "No such file or directory");
    assert_string_equal(json_string_value(json_object_get(line, "none")), "null");
    assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 24);
}

/* What is quoted can't end the string, the object or the line. */
static void hostile_text_stays_inside_its_string(void **state)
{
    static const char *const texts[] = {"\"},{\"level\":\"error", "a\\",         "a\nb",
                                        "a\r\x01\x1b[31m\x7f",    "caf\xc3\xa9", "line\xe2\x80\xa8sep"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const struct log_field field = LOG_S("text", texts[i]);
        _cleanup_json_ json_t *line = json_line(texts[i], &field, 1);

        assert_string_equal(json_string_value(json_object_get(line, "text")), texts[i]);
        assert_string_equal(json_string_value(json_object_get(line, "message")), texts[i]);
    }
}

static void bytes_that_are_no_utf8_leave_it_json(void **state)
{
    const struct log_field field = LOG_S("text", "caf\xe9");
    _cleanup_json_ json_t *line = json_line("m", &field, 1);

    assert_string_equal(json_string_value(json_object_get(line, "text")), "caf\xc3\xa9");
}

static void an_event_that_is_too_long_loses_its_fields_only(void **state)
{
    _cleanup_free_ char *text = malloc(20001);

    assert_non_null(text);
    memset(text, 'a', 20000);
    text[20000] = '\0';

    const struct log_field field = LOG_S("text", text);
    _cleanup_json_ json_t *line = json_line("it happened", &field, 1);

    assert_string_equal(json_string_value(json_object_get(line, "message")), "it happened");
    assert_null(json_object_get(line, "text"));
    assert_non_null(json_object_get(line, "fields"));
}

static void a_terminal_gets_plain_text_without_control_characters(void **state)
{
    const struct log_field fields[] = {LOG_S("text", "a\x1b[31m\nb"), LOG_U("ms", 7)};
    const char *line = one_line(LOG_FORMAT_TEXT, "hello\tthere", fields, 2);

    assert_non_null(strstr(line, "hello?there text=a?[31m?b ms=7\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void lesser_levels_are_silent(void **state)
{
    log_init("test", LOG_LEVEL_WARN, LOG_FORMAT_JSON);
    capture_begin(&captured, STDERR_FILENO);
    log_info("no");
    log_debug("no");
    assert_string_equal(capture_end(&captured), "");
    capture_begin(&captured, STDERR_FILENO);
    log_error("yes");
    assert_non_null(strstr(capture_end(&captured), "yes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_json_object),
        cmocka_unit_test(hostile_text_stays_inside_its_string),
        cmocka_unit_test(bytes_that_are_no_utf8_leave_it_json),
        cmocka_unit_test(an_event_that_is_too_long_loses_its_fields_only),
        cmocka_unit_test(a_terminal_gets_plain_text_without_control_characters),
        cmocka_unit_test(lesser_levels_are_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
