#include "api/body.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_convert(void **state)
{
    static const char text[] =
        "{\"job_id\": \"j\", \"target_format\": \"JPEG\", \"options\": {\"quality\": 5}, \"more\": 1}";
    const char *why;
    struct body body;

    assert_int_equal(body_read_convert(text, strlen(text), &body, &why), 0);
    assert_string_equal(body.job_id, "j");
    assert_string_equal(body.target->id, "jpg");
    assert_int_equal(json_object_size(body.options), 1);
    assert_null(body.callback_url);
    body_free(&body);
    assert_null(body.json);
}

static void test_callback_url(void **state)
{
    static const char with[] =
        "{\"job_id\": \"j\", \"target_format\": \"pdf\", \"callback_url\": \"https://a\"}";
    static const char without[] = "{\"job_id\": \"j\", \"target_format\": \"pdf\", \"callback_url\": null}";
    const char *why;
    struct body body;

    assert_int_equal(body_read_convert(with, strlen(with), &body, &why), 0);
    assert_string_equal(body.callback_url, "https://a");
    body_free(&body);
    assert_int_equal(body_read_convert(without, strlen(without), &body, &why), 0);
    assert_null(body.callback_url);
    body_free(&body);
}

static void test_retry(void **state)
{
    static const char with[] =
        "{\"job_id\": \"j\", \"options\": {\"quality\": 5}, \"target_format\": \"pdf\"}";
    static const char without[] = "{\"job_id\": \"j\", \"options\": null}";
    static const char *const refused[] = {
        "", "[]", "{}", "{\"job_id\": 5}", "{\"job_ids\": [\"a\"]}", "{\"job_id\": \"j\", \"options\": []}"};
    const char *why;
    struct body body;

    assert_int_equal(body_read_retry(with, strlen(with), &body, &why), 0);
    assert_string_equal(body.job_id, "j");
    assert_int_equal(json_object_size(body.options), 1);
    assert_null(body.target);
    body_free(&body);
    assert_int_equal(body_read_retry(without, strlen(without), &body, &why), 0);
    assert_null(body.options);
    body_free(&body);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        why = "";
        assert_int_equal(body_read_retry(refused[i], strlen(refused[i]), &body, &why), -EINVAL);
        assert_true(*why);
        assert_null(body.json);
    }
}

static void test_many_jobs(void **state)
{
    static const char text[] = "{\"job_ids\": [\"a\", \"b\", \"a\"], \"target_format\": \"pdf\"}";
    const char *why;
    struct body body;

    assert_int_equal(body_read_convert(text, strlen(text), &body, &why), 0);
    assert_string_equal(body.job_id, "a");
    assert_int_equal(json_array_size(body.job_ids), 3);
    body_free(&body);
    assert_null(body.job_ids);
}

static void expect_target(const char *name, const char *id)
{
    _cleanup_free_ char *text = NULL;
    const char *why;
    struct body body;

    assert_true(asprintf(&text, "{\"job_id\": \"j\", \"target_format\": \"%s\", \"options\": null}", name) >
                0);
    assert_int_equal(body_read_convert(text, strlen(text), &body, &why), 0);
    assert_null(body.options);
    if (id)
        assert_string_equal(body.target->id, id);
    else
        assert_null(body.target);
    body_free(&body);
}

static void test_names_of_targets(void **state)
{
    expect_target("pdf", "pdf");
    expect_target("Tif", "tiff");
    expect_target("", NULL);
    expect_target("a.pdf", NULL);
    expect_target(".pdf", NULL);
    expect_target("/pdf", NULL);
    expect_target("pdf ", NULL);
    expect_target("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaapdf", NULL);
}

static void expect_refused(const char *text, const char *word)
{
    struct body body;
    const char *why = "";

    assert_int_equal(body_read_convert(text, strlen(text), &body, &why), -EINVAL);
    assert_non_null(strstr(why, word));
    assert_null(body.json);
}

static void test_refused(void **state)
{
    expect_refused("", "JSON object");
    expect_refused("[]", "JSON object");
    expect_refused("{\"job_id\": \"j\"} x", "JSON object");
    expect_refused("{\"job_id\": \"j\", \"job_id\": \"k\"}", "there twice");
    expect_refused("{\"job_id\": \"j\", \"options\": {\"dpi\": 99999999999999999999}}", "too large");
    expect_refused("{\"job_id\": \"j\", \"options\": {\"dpi\": 1e400}}", "too large");
    expect_refused("{\"job_id\": \"a\\u0000b\", \"target_format\": \"pdf\"}", "JSON object");
    expect_refused("{\"target_format\": \"pdf\"}", "job_id");
    expect_refused("{\"job_id\": 1, \"target_format\": \"pdf\"}", "job_id");
    expect_refused("{\"job_id\": \"j\", \"job_ids\": [\"j\"], \"target_format\": \"pdf\"}",
                   "exclude each other");
    expect_refused("{\"job_ids\": \"j\", \"target_format\": \"pdf\"}", "1 to 100");
    expect_refused("{\"job_ids\": [], \"target_format\": \"pdf\"}", "1 to 100");
    expect_refused("{\"job_ids\": [\"j\", 7], \"target_format\": \"pdf\"}", "1 to 100");
    expect_refused("{\"job_id\": \"j\", \"target_format\": null}", "target_format");
    expect_refused("{\"job_id\": \"j\", \"target_format\": \"pdf\", \"options\": []}", "options");
    expect_refused("{\"job_id\": \"j\", \"target_format\": \"pdf\", \"callback_url\": []}", "callback_url");
}

static void test_download_token(void **state)
{
    static const char text[] = "{\"job_id\": \"j\"}";
    const char *why = "";
    struct body body;

    assert_int_equal(body_read_job(text, strlen(text), &body, &why), 0);
    assert_string_equal(body.job_id, "j");
    body_free(&body);
    assert_int_equal(body_read_job("{}", 2, &body, &why), -EINVAL);
    assert_non_null(strstr(why, "job_id"));
}

static void test_download_of_many(void **state)
{
    static const struct {
        const char *text, *why; /* NULL: it is taken */
    } rows[] = {
        {"{\"job_ids\": [\"a\"]}", NULL},
        {"{\"job_ids\": [\"a\", \"b\", \"A\"]}", NULL},
        {"{\"job_ids\": [\"a\", \"b\", \"a\"]}", "twice"},
        {"{\"job_ids\": []}", "1 to 100"},
        {"{\"job_ids\": [\"a\"], \"job_id\": \"a\"}", "exclude"},
        {"{\"job_ids\": [\"a\"], \"part\": 9999}", NULL},
        {"{\"job_ids\": [\"a\"], \"part\": 10000}", "part"},
        {"{\"job_ids\": [\"a\"], \"part\": 0}", "part"},
        {"{\"job_ids\": [\"a\"], \"part\": \"2\"}", "part"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *why = "";
        struct body body;
        int r = body_read_download_token(rows[i].text, strlen(rows[i].text), &body, &why);

        assert_int_equal(r, rows[i].why ? -EINVAL : 0);
        if (rows[i].why)
            assert_non_null(strstr(why, rows[i].why));
        else
            assert_non_null(body.job_ids);
        body_free(&body);
    }
}

static void test_login(void **state)
{
    static const char good[] = "{\"name\": \"Ada\", \"password\": \"a pass word\", \"more\": 1}";
    static const char *const refused[] = {"",
                                          "[]",
                                          "{}",
                                          "{\"name\": \"a\"}",
                                          "{\"password\": \"a\"}",
                                          "{\"name\": \"\", \"password\": \"a\"}",
                                          "{\"name\": \"a\", \"password\": \"\"}",
                                          "{\"name\": 1, \"password\": \"a\"}",
                                          "{\"name\": \"a\", \"password\": [\"a\"]}",
                                          "{\"name\": \"a\", \"name\": \"b\", \"password\": \"c\"}",
                                          "{\"name\": \"a\\u0000b\", \"password\": \"c\"}"};
    const char *why;
    struct body body;

    assert_int_equal(body_read_login(good, strlen(good), &body, &why), 0);
    assert_string_equal(body.name, "Ada");
    assert_string_equal(body.password, "a pass word");
    body_free(&body);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_int_equal(body_read_login(refused[i], strlen(refused[i]), &body, &why), -EINVAL);
        assert_null(body.json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_callback_url),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_names_of_targets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_download_token),
        cmocka_unit_test(test_download_of_many),
        cmocka_unit_test(test_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
