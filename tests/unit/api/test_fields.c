/* Fields of a form become a target and typed options. */
#include "api/fields.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct fields *f, const char *name, const char *text)
{
    if (fields_add(f, name, text, strlen(text)) < 0)
        fail_msg("%s=%s: %s", name, text, f->why);
}

/* The options of a file as JSON text, or why there are none. */
static void expect(struct fields *f, const char *from, const char *to, const char *expected)
{
    _cleanup_json_ json_t *options = NULL;
    _cleanup_free_ char *text = NULL;

    if (fields_options(f, catalogue_find(format_by_id(from), format_by_id(to)), &options) < 0) {
        if (!strstr(f->why, expected))
            fail_msg("%s is not in: %s", expected, f->why);
        return;
    }
    text = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
}

static void test_types(void **state)
{
    struct fields f = {0};

    add(&f, "to", "JPEG");
    add(&f, "dpi", "300");
    add(&f, "pages", "3");
    add(&f, "background", "#ffe0b0");
    add(&f, "callback_url", "https://example.org/?a=b"); /* no option */
    assert_string_equal(f.target->id, "jpg");
    assert_string_equal(f.callback_url, "https://example.org/?a=b");
    assert_false(f.merge || f.keep);
    expect(&f, "pdf", "jpg", "{\"background\":\"#ffe0b0\",\"dpi\":300,\"pages\":\"3\"}");
    expect(&f, "png", "jpg", "has no option \"dpi\"");
    fields_free(&f);

    add(&f, "linearize", "true");
    add(&f, "compress", "lossy");
    expect(&f, "docx", "pdf", "{\"compress\":\"lossy\",\"linearize\":true}");
    fields_free(&f);
}

static void test_values_that_are_none(void **state)
{
    static const struct {
        const char *name, *text, *why;
    } rows[] = {
        {"dpi", "many", "whole number from 18 to 600"},
        {"dpi", "", "whole number"},
        {"dpi", "-5", "whole number"},
        {"dpi", "12 ", "whole number"},
        {"dpi", "1e2", "whole number"},
        {"dpi", "99999999999999999999", "whole number"},
        {"linearize", "yes", "true or false"},
        {"linearize", "", "true or false"},
        {"background", "mauve", "colour"},
        {"pages", "a-b", "pages such as"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fields f = {0};

        add(&f, "to", "png");
        add(&f, rows[i].name, rows[i].text);
        expect(&f, "pdf", str_eq(rows[i].name, "linearize") ? "pdf" : "png", rows[i].why);
        fields_free(&f);
    }
}

static void test_options_as_json(void **state)
{
    struct fields f = {0};

    add(&f, "options", "{\"dpi\": 72}");
    add(&f, "to", "png");
    add(&f, "options", "{\"rotate\": 90}");
    add(&f, "pages", "1");
    expect(&f, "pdf", "png", "{\"dpi\":72,\"pages\":\"1\",\"rotate\":90}");
    add(&f, "dpi", "72");
    expect(&f, "pdf", "png", "\"dpi\" is there twice");
    fields_free(&f);
}

static void test_about_the_call(void **state)
{
    struct fields f = {0};

    add(&f, "merge", "true");
    add(&f, "keep", "0");
    add(&f, "to", "nonsense");
    assert_true(f.merge);
    assert_false(f.keep);
    assert_null(f.target);
    fields_free(&f);
    /* They are no options, and none may come to be called so. */
    assert_true(catalogue_has_option("dpi"));
    for (const char *const *name = (const char *const[]){"file", "to", "merge", "keep", "options", NULL};
         *name; name++)
        assert_false(catalogue_has_option(*name));
}

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text, *why;
        size_t len; /* 0: to the NUL */
    } rows[] = {
        {"nonsense", "1", "a field \"nonsense\""},
        {"", "1", "neither"},
        {"a\"b", "1", "A field of the form is neither"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1", "A field of the form"},
        {"files", "x", "a field \"files\""},
        {"merge", "yes", "\"merge\" must be true or false"},
        {"keep", "", "\"keep\" must be true or false"},
        {"options", "", "JSON object"},
        {"options", "[]", "JSON object"},
        {"options", "{\"dpi\": 1, \"dpi\": 2}", "there twice"},
        {"options", "{\"dpi\": 99999999999999999999}", "too large"},
        {"options", "{\"rotate\": 180}", "an option twice"},
        {"dpi", "\xff", "no text in UTF-8"},
        {"dpi", "3\0", "no text in UTF-8", 2},
        {"to", "pdf", "\"to\" is there twice"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fields f = {0};

        add(&f, "to", "png");
        add(&f, "options", "{\"rotate\": 90}");
        assert_int_equal(
            fields_add(&f, rows[i].name, rows[i].text, rows[i].len ? rows[i].len : strlen(rows[i].text)),
            -EINVAL);
        if (!strstr(f.why, rows[i].why))
            fail_msg("%s is not in: %s", rows[i].why, f.why);
        fields_free(&f);
    }
}

/* However many there are, and whatever they are made of. */
static void test_all_together(void **state)
{
    struct fields f = {0};
    _cleanup_free_ char *text = calloc(1, FIELDS_BYTES_MAX);
    size_t len = FIELDS_BYTES_MAX / 2;

    for (unsigned i = 0; i < 2; i++) {
        int n = snprintf(text, len, "{\"k%u\":\"", i);

        memset(text + n, 'x', len - (size_t)n - 2);
        memcpy(text + len - 2, "\"}", 3);
        assert_int_equal(fields_add(&f, "options", text, len), 0);
    }
    assert_int_equal(fields_add(&f, "options", "{}", 2), -EMSGSIZE);
    assert_non_null(strstr(f.why, "too long"));
    fields_free(&f);
    assert_int_equal(fields_add(&f, "options", "{}", 2), 0);
    fields_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),           cmocka_unit_test(test_values_that_are_none),
        cmocka_unit_test(test_options_as_json), cmocka_unit_test(test_about_the_call),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_all_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
