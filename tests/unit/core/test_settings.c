#include "captured.h"
#include "core/settings.h"
#include "core/str.h"

#include <errno.h>

enum { ARGS_MAX = 8 };

static struct captured captured;

static int setup(void **state)
{
    clearenv();
    return 0;
}

/* Arguments after the program's name, NULL-terminated; what is printed is in captured.text. */
static int load(struct settings *s, enum settings_program program, const char *const args[])
{
    const char *argv[ARGS_MAX + 2] = {"program"};
    int argc = 1, r;

    for (; args && args[argc - 1]; argc++)
        argv[argc] = args[argc - 1];
    capture_begin(&captured, STDERR_FILENO);
    r = settings_load(s, program, "usage", argc, (char **)argv);
    capture_end(&captured);
    return r;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void defaults_hold(void **state)
{
    struct settings s;

    assert_int_equal(load(&s, PROGRAM_API, NULL), 1);
    assert_string_equal(s.listen, "127.0.0.1");
    assert_int_equal(s.port, 8080);
    assert_int_equal(s.max_upload_bytes, 100 << 20);
    assert_int_equal(s.session_ttl_s, 86400);
    assert_int_equal(s.token_ttl_s, 600);
    assert_int_equal(s.result_cache_s, 3600);
    assert_string_equal(s.accel_prefix, "");
    assert_null(s.redis_password_file);
}

static void flags_win_over_variables(void **state)
{
    struct settings s;

    setenv("DECANT_PORT", "1000", 1);
    setenv("DECANT_LISTEN", "::1", 1);
    assert_int_equal(load(&s, PROGRAM_API, NULL), 1);
    assert_int_equal(s.port, 1000);
    assert_string_equal(s.listen, "::1");
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--port", "2000", "--listen=0.0.0.0")), 4);
    assert_int_equal(s.port, 2000);
    assert_string_equal(s.listen, "0.0.0.0");
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--port=3000", "--port=3001")), 3);
    assert_int_equal(s.port, 3001);
}

static void options_end_where_arguments_begin(void **state)
{
    struct settings s;

    assert_int_equal(load(&s, PROGRAM_CONVERT, ARGS("--jobs", "2", "a.docx", "--jobs", "3")), 3);
    assert_int_equal(s.jobs, 2);
    assert_int_equal(load(&s, PROGRAM_CONVERT, ARGS("--", "--jobs")), 2);
    assert_int_equal(load(&s, PROGRAM_CONVERT, ARGS("-")), 1);
}

static void sizes_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {{"1024", 1024},      {"1k", 1 << 10},           {"1K", 1 << 10},
                 {"100M", 100 << 20}, {"3G", UINT64_C(3) << 30}, {"1T", UINT64_C(1) << 40}};
    struct settings s;

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        setenv("DECANT_MAX_UPLOAD", sizes[i].text, 1);
        assert_int_equal(load(&s, PROGRAM_API, NULL), 1);
        assert_true(s.max_upload_bytes == sizes[i].bytes);
    }
}

static void engines_are_chosen_by_name(void **state)
{
    static const char *const good[] = {"image", "pdf,image", "office, pdf", " image  image "};
    static const char *const bad[] = {"",      " ",    ",",         "all",       "image,tiff",
                                      "Image", "imag", "image;pdf", "image\tpdf"};
    struct settings s;

    assert_int_equal(load(&s, PROGRAM_WORKER, NULL), 1);
    assert_string_equal(s.engines, "office image pdf media markup archive font pages press ocr");
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        setenv("DECANT_ENGINES", good[i], 1);
        assert_int_equal(load(&s, PROGRAM_WORKER, NULL), 1);
        assert_string_equal(s.engines, good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        setenv("DECANT_ENGINES", bad[i], 1);
        assert_int_equal(load(&s, PROGRAM_WORKER, NULL), -EINVAL);
        assert_true(str_starts(captured.text, "DECANT_ENGINES"));
        assert_non_null(strstr(captured.text,
                               "one or more of: office image pdf media markup archive font pages press ocr"));
    }
}

static void a_bad_value_is_refused_by_the_name_of_its_variable(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"DECANT_PORT", ""},
        {"DECANT_PORT", "http"},
        {"DECANT_PORT", "0"},
        {"DECANT_PORT", "65536"},
        {"DECANT_PORT", "-1"},
        {"DECANT_PORT", "80 "},
        {"DECANT_PORT", "18446744073709551616"},
        {"DECANT_MAX_UPLOAD", ""},
        {"DECANT_MAX_UPLOAD", "M"},
        {"DECANT_MAX_UPLOAD", "100MB"},
        {"DECANT_MAX_UPLOAD", "1.5G"},
        {"DECANT_MAX_UPLOAD", "1023"},
        {"DECANT_MAX_UPLOAD", "2T"},
        {"DECANT_MAX_UPLOAD", "18446744073709551615T"},
        {"DECANT_MAX_UPLOAD", "100000000000000000000000000000"},
        {"DECANT_LOG_LEVEL", "loud"},
        {"DECANT_LOG_LEVEL", "info warn"},
        {"DECANT_LOG_LEVEL", ""},
        {"DECANT_LOG_FORMAT", "JSON"},
        {"DECANT_CORS_ORIGINS", "*"},
        {"DECANT_CORS_ORIGINS", "https://a.example, https://b.example/"},
        {"DECANT_CORS_ORIGINS", "example.com"},
        {"DECANT_DOWNLOAD_ORIGIN", "files.example.com"},
        {"DECANT_DOWNLOAD_ORIGIN", "https://a.example https://b.example"},
    };
    struct settings s;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        clearenv();
        setenv(bad[i].name, bad[i].value, 1);
        assert_int_equal(load(&s, PROGRAM_API, NULL), -EINVAL);
        assert_true(str_starts(captured.text, bad[i].name));
    }
}

static void a_bad_flag_is_refused(void **state)
{
    static const char *const flags[] = {"--unknown", "--port=0", "--port",  "--por=1",
                                        "--=1",      "--jobs=1", "--help=1"};
    struct settings s;

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        assert_int_equal(load(&s, PROGRAM_API, ARGS(flags[i])), -EINVAL);
        assert_true(strlen(captured.text) > 0);
    }
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--port", "0")), -EINVAL);
    assert_true(str_starts(captured.text, "DECANT_PORT"));
}

static void the_least_deadline_fits_the_longest(void **state)
{
    static const struct {
        const char *least, *longest; /* NULL: not given */
        uint64_t expected;
    } good[] = {{NULL, NULL, 30}, {NULL, "600", 30}, {NULL, "7", 7},     {"0", "7", 7},
                {"1", "7", 1},    {"7", "7", 7},     {"120", NULL, 120}, {"600", "600", 600}};
    static const struct {
        const char *least, *longest;
    } bad[] = {{"8", "7"}, {"121", NULL}, {"30", "29"}};
    struct settings s;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        clearenv();
        if (good[i].least)
            setenv("DECANT_JOB_TIMEOUT_MIN", good[i].least, 1);
        if (good[i].longest)
            setenv("DECANT_JOB_TIMEOUT", good[i].longest, 1);
        assert_int_equal(load(&s, PROGRAM_WORKER, NULL), 1);
        assert_int_equal(s.job_timeout_min_s, good[i].expected);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        clearenv();
        setenv("DECANT_JOB_TIMEOUT_MIN", bad[i].least, 1);
        if (bad[i].longest)
            setenv("DECANT_JOB_TIMEOUT", bad[i].longest, 1);
        assert_int_equal(load(&s, PROGRAM_WORKER, NULL), -EINVAL);
        assert_true(str_starts(captured.text, "DECANT_JOB_TIMEOUT_MIN: "));
        assert_non_null(strstr(captured.text, " DECANT_JOB_TIMEOUT "));
    }
    clearenv();
    assert_int_equal(load(&s, PROGRAM_SERVE, ARGS("--job-timeout-min=5", "--job-timeout=4", "--")), -EINVAL);
    assert_int_equal(load(&s, PROGRAM_SERVE, ARGS("--job-timeout-min=5", "--job-timeout=5", "--")), 4);
}

/* Both sides of it are told what they need, or nothing. */
static void single_sign_on_is_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *variable, *value, *complaint; /* complaint NULL: none */
    } steps[] = {
        {"DECANT_OIDC_SCOPES", "profile", NULL},
        {"DECANT_OIDC_ISSUER", "http://login.example.com", "DECANT_OIDC_ISSUER: "},
        {"DECANT_OIDC_ISSUER", "https://login.example.com/?a=b", "DECANT_OIDC_ISSUER: "},
        {"DECANT_OIDC_ISSUER", "https://login.example.com/", "DECANT_OIDC_CLIENT_ID"},
        {"DECANT_OIDC_CLIENT_ID", "decant", "DECANT_PUBLIC_URL"},
        {"DECANT_PUBLIC_URL", "https://convert.example.com/", "DECANT_PUBLIC_URL"},
        {"DECANT_PUBLIC_URL", "https://convert.example.com", "DECANT_OIDC_SCOPES"},
        {"DECANT_OIDC_SCOPES", "email openid", NULL},
        {"DECANT_OIDC_PLAN_CLAIM", "groups", "DECANT_OIDC_PREMIUM"},
        {"DECANT_OIDC_PREMIUM", "staff", NULL},
        {"DECANT_OIDC_PLAN_CLAIM", "", "DECANT_OIDC_PREMIUM"},
        {"DECANT_OIDC_ISSUER", "", NULL},
    };
    struct settings s;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        setenv(steps[i].variable, steps[i].value, 1);
        assert_int_equal(load(&s, PROGRAM_SERVE, NULL), steps[i].complaint ? -EINVAL : 1);
        if (steps[i].complaint)
            assert_non_null(strstr(captured.text, steps[i].complaint));
    }
}

static void what_other_programs_read_is_ignored(void **state)
{
    struct settings s;

    setenv("DECANT_JOB_TIMEOUT", "nonsense", 1);
    assert_int_equal(load(&s, PROGRAM_API, NULL), 1);
    assert_int_equal(load(&s, PROGRAM_WORKER, NULL), -EINVAL);
    assert_true(str_starts(captured.text, "DECANT_JOB_TIMEOUT"));
}

static void help_prints_the_table(void **state)
{
    struct settings s;
    int r;

    capture_begin(&captured, STDOUT_FILENO);
    r = settings_load(&s, PROGRAM_API, "how it is used", 2,
                      (char **)(const char *[]){"program", "--help", NULL});
    capture_end(&captured);
    assert_int_equal(r, -ECANCELED);
    assert_non_null(strstr(captured.text, "how it is used"));
    assert_non_null(strstr(captured.text, "--port"));
    assert_non_null(strstr(captured.text, "DECANT_PORT"));
    assert_non_null(strstr(captured.text, "[8080]"));
    assert_null(strstr(captured.text, "DECANT_JOB_TIMEOUT"));
}

/* A password on the command line is everybody's, and one in the environment the children's. */
static void the_password_comes_by_file(void **state)
{
    struct settings s;

    assert_int_equal(load(&s, PROGRAM_API, ARGS("--redis-password=x")), -EINVAL);
    setenv("DECANT_REDIS_PASSWORD", "secret", 1);
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--redis-password-file=/etc/decant/redis")), 2);
    assert_string_equal(s.redis_password_file, "/etc/decant/redis");
}

static void sentinels_have_settings_of_their_own(void **state)
{
    struct settings s;

    assert_int_equal(load(&s, PROGRAM_WORKER, NULL), 1);
    assert_string_equal(s.redis_master, "mymaster");
    assert_string_equal(s.redis_ports, "6379");
    assert_null(s.sentinel_password_file);
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--redis-ports=6379,6380", "--redis-master=decant")), 3);
    assert_string_equal(s.redis_ports, "6379,6380");
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--redis-ports=6379,0")), -EINVAL);
    assert_non_null(strstr(captured.text, "DECANT_REDIS_PORTS"));
    assert_non_null(strstr(captured.text, "ports from 1 to 65535"));
    assert_int_equal(load(&s, PROGRAM_API, ARGS("--redis-ports=")), -EINVAL);
}

static void children_read_what_was_exported(void **state)
{
    struct settings parent, child;

    assert_int_equal(
        load(&parent, PROGRAM_SERVE,
             ARGS("--port=9999", "--job-timeout=7", "--max-upload=3M",
                  "--cors-origins=https://a.example,http://b.example:8080", "--engines=pdf,image")),
        6);
    assert_string_equal(parent.download_origin, "");
    parent.storage = "/elsewhere";
    settings_export(&parent);
    assert_int_equal(load(&child, PROGRAM_API, NULL), 1);
    assert_int_equal(child.port, 9999);
    assert_int_equal(child.max_upload_bytes, 3 << 20);
    assert_string_equal(child.cors_origins, "https://a.example,http://b.example:8080");
    assert_string_equal(child.storage, "/elsewhere");
    assert_int_equal(load(&child, PROGRAM_WORKER, NULL), 1);
    assert_int_equal(child.job_timeout_s, 7);
    assert_string_equal(child.engines, "pdf,image");
}

/* `decant convert` reads few settings; what it hands on has to hold for its engines. */
static void what_any_program_exports_is_valid(void **state)
{
    struct settings parent, child;

    assert_int_equal(load(&parent, PROGRAM_CONVERT, ARGS("--job-timeout=7")), 2);
    settings_export(&parent);
    assert_int_equal(load(&child, PROGRAM_WORKER, NULL), 1);
    assert_int_equal(child.job_timeout_s, 7);
    assert_int_equal(child.job_timeout_min_s, 7);
    assert_int_equal(child.max_deliveries, 3);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold),
        TEST(flags_win_over_variables),
        TEST(options_end_where_arguments_begin),
        TEST(sizes_have_units),
        TEST(engines_are_chosen_by_name),
        TEST(a_bad_value_is_refused_by_the_name_of_its_variable),
        TEST(a_bad_flag_is_refused),
        TEST(the_least_deadline_fits_the_longest),
        TEST(single_sign_on_is_whole_or_not_at_all),
        TEST(what_other_programs_read_is_ignored),
        TEST(help_prints_the_table),
        TEST(the_password_comes_by_file),
        TEST(sentinels_have_settings_of_their_own),
        TEST(children_read_what_was_exported),
        TEST(what_any_program_exports_is_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
