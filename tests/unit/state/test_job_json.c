/* The object of /job_status is made by hand: is it JSON, and are nulls where they are promised? */
#include "core/cleanup.h"
#include "state/job_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static json_t *written(const struct job *job)
{
    _cleanup_buf_ struct buf out = BUF_INIT(JOB_JSON_BYTES_MAX);
    json_error_t error;
    json_t *json;

    job_json_write(&out, job);
    assert_int_equal(buf_error(&out), 0);
    json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s: %s", error.text, out.data);
    return json;
}

#define NEW_JOB                                                                                              \
    {                                                                                                        \
        .job_id = "j", .session_id = "s", .original_filename = "Ü \"x\".docx", .source_format = "docx",      \
        .target_format = "", .mime_type = "application/x", .sha256 = "ab", .size = UINT64_C(1) << 40,        \
        .stored_path = "secret/path", .converted_path = "", .task_id = "", .options = "{}",                  \
        .sealed_secrets = "sealed", .created_at = "t", .started_at = "", .completed_at = "",                 \
        .error_code = "", .error_message = "", .output_mime_type = "", .scan = "", .signature = "",          \
        .engine = "", .engine_version = "", .sandbox = "", .worker = "w", .queue_ms = JOB_UNKNOWN,           \
        .fonts_substituted = "", .duration_ms = JOB_UNKNOWN                                                  \
    }

static void a_new_job_has_nulls(void **state)
{
    static const char *const nulls[] = {"task_id",    "target_format", "started_at",       "completed_at",
                                        "error_code", "error_message", "output",           "sandbox",
                                        "pss_kib",    "engine",        "engine_version",   "peak_rss_bytes",
                                        "queue_ms",   "duration_ms",   "fonts_substituted"};
    const struct job job = NEW_JOB;
    _cleanup_json_ json_t *json = written(&job);

    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        assert_true(json_is_null(json_object_get(json, nulls[i])));
    assert_int_equal(json_object_size(json), 28);
    assert_true(json_is_false(json_object_get(json, "cached")));
    assert_string_equal(json_string_value(json_object_get(json, "status")), "uploaded");
    assert_string_equal(json_string_value(json_object_get(json, "original_filename")), "Ü \"x\".docx");
    assert_int_equal(json_integer_value(json_object_get(json, "size")), INT64_C(1) << 40);
    assert_int_equal(json_integer_value(json_object_get(json, "progress")), 0);
}

static void a_completed_job_has_its_output(void **state)
{
    struct job job = NEW_JOB;
    json_t *output;

    job.status = JOB_COMPLETED;
    job.progress = 100;
    job.task_id = "t1";
    job.target_format = "png";
    job.converted_path = "a/b/c.zip";
    job.output_mime_type = "application/zip";
    job.output_size = 7;
    job.cached = true;
    job.pss_kib = 3;
    job.peak_kib = 2;
    job.queue_ms = 0;
    job.duration_ms = 12;
    job.engine_version = "pdf 1";
    job.fonts_substituted = "[{\"font\":\"Calibri\",\"used\":\"Carlito\",\"metric_compatible\":true}]";

    _cleanup_json_ json_t *json = written(&job);

    output = json_object_get(json, "output");
    assert_string_equal(json_string_value(json_object_get(output, "filename")), "Ü \"x\".zip");
    assert_int_equal(json_integer_value(json_object_get(output, "size")), 7);
    assert_null(json_object_get(output, "pages"));
    assert_true(json_is_true(json_object_get(json, "cached")));
    assert_int_equal(json_integer_value(json_object_get(json, "pss_kib")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "peak_kib")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "peak_rss_bytes")), 2048);
    assert_true(json_is_integer(json_object_get(json, "queue_ms")));
    assert_int_equal(json_integer_value(json_object_get(json, "queue_ms")), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "duration_ms")), 12);
    assert_string_equal(json_string_value(json_object_get(json, "engine_version")), "pdf 1");

    const json_t *font = json_array_get(json_object_get(json, "fonts_substituted"), 0);

    assert_string_equal(json_string_value(json_object_get(font, "used")), "Carlito");
    assert_true(json_is_true(json_object_get(font, "metric_compatible")));
    assert_string_equal(json_string_value(json_object_get(json, "task_id")), "t1");

    job.output_pages = 12;

    _cleanup_json_ json_t *paged = written(&job);

    assert_int_equal(json_integer_value(json_object_get(json_object_get(paged, "output"), "pages")), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_job_has_nulls),
        cmocka_unit_test(a_completed_job_has_its_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
