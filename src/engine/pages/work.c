#include "engine/pages/work.h"

#include "core/cleanup.h"
#include "core/str.h"

#include <errno.h>
#include <qpdf/Constants.h>
#include <qpdf/qpdf-c.h>
#include <qpdf/qpdfjob-c.h>
#include <stdio.h>

enum { SAID_MAX = 1024, EXIT_NOT_STARTED = -1 };

/* The beginning of what it says: numbers that were asked for, and errors. */
struct said {
    char info[SAID_MAX], error[SAID_MAX];
};

json_t *work_new(const char *path, const char *password)
{
    json_t *work = json_pack("{s:s}", "inputFile", path);

    work_set(work, "newlineBeforeEndstream", ""); /* as PDF/A has to have it (ISO 19005-1, 6.1.7) */
    if (password)
        work_set(work, "password", password);
    return work;
}

void work_set(json_t *work, const char *name, const char *value)
{
    json_object_set_new(work, name, json_string(value));
}

/* --- what it says */

void work_be_quiet(void)
{
    qpdflogger_handle logger = qpdflogger_default_logger();

    qpdflogger_set_info(logger, qpdf_log_dest_discard, NULL, NULL);
    qpdflogger_set_warn(logger, qpdf_log_dest_discard, NULL, NULL);
    qpdflogger_set_error(logger, qpdf_log_dest_discard, NULL, NULL);
    qpdflogger_cleanup(&logger);
}

static int hear(const char *data, size_t len, void *arg)
{
    char *text = arg;
    size_t at = strlen(text), room = SAID_MAX - 1 - at;

    memcpy(text + at, data, len < room ? len : room);
    return 0;
}

static void listen(qpdfjob_handle handle, struct said *said)
{
    qpdflogger_handle logger = qpdflogger_create();

    qpdflogger_set_info(logger, qpdf_log_dest_custom, hear, said->info);
    qpdflogger_set_warn(logger, qpdf_log_dest_discard, NULL, NULL);
    qpdflogger_set_error(logger, qpdf_log_dest_custom, hear, said->error);
    qpdfjob_set_logger(handle, logger);
    qpdflogger_cleanup(&logger);
}

static void report(int percent, void *arg)
{
    engine_progress(arg, (unsigned)percent);
}

/* --- a run */

/* Its exit status; EXIT_NOT_STARTED when it took the JSON for none of its jobs. */
static int run(const json_t *work, struct engine_job *job, struct said *said)
{
    _cleanup_secret_ char *text = json_dumps(work, JSON_COMPACT);
    qpdfjob_handle handle = text ? qpdfjob_init() : NULL;
    int status = EXIT_NOT_STARTED;

    *said = (struct said){0};
    if (!handle)
        return status;
    listen(handle, said);
    if (job)
        qpdfjob_register_progress_reporter(handle, report, job);
    if (qpdfjob_initialize_from_json(handle, text) == 0)
        status = qpdfjob_run(handle);
    qpdfjob_cleanup(&handle);
    return status;
}

/* --- a proof */

static const char *new_password(const json_t *work)
{
    return json_string_value(json_object_get(json_object_get(work, "encrypt"), "userPassword"));
}

static bool has_page(qpdf_data qpdf, int i)
{
    qpdf_oh page = qpdf_get_page_n(qpdf, (size_t)i);
    bool is = qpdf_oh_is_dictionary(qpdf, page);

    qpdf_oh_release(qpdf, page);
    return is;
}

enum outcome work_prove(const json_t *work, const char *path)
{
    qpdf_data qpdf = qpdf_init();
    bool whole;
    int n;

    qpdf_silence_errors(qpdf);
    whole = !(qpdf_read(qpdf, path, new_password(work)) & QPDF_ERRORS);
    n = whole ? qpdf_get_num_pages(qpdf) : 0;
    for (int i = 0; i < n && whole; i++)
        whole = has_page(qpdf, i);
    qpdf_cleanup(&qpdf);
    return whole && n > 0 ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT;
}

/* --- a claim */

/* "<pdfaid:part>1<" or "pdfaid:part='1'" */
static bool claims_part_1(const char *xmp, size_t len)
{
    static const char name[] = "pdfaid:part";
    const char *at = memmem(xmp, len, name, sizeof name - 1), *end = xmp + len;

    if (!at)
        return false;
    for (at += sizeof name - 1; at < end && strchr(" =>'\"", *at); at++)
        ;
    return at < end && *at == '1';
}

bool work_is_archive_of_1_4(const char *path)
{
    qpdf_data qpdf = qpdf_init();
    unsigned char *xmp = NULL;
    bool claims = false;
    size_t len = 0;

    qpdf_silence_errors(qpdf);
    if (!(qpdf_read(qpdf, path, NULL) & QPDF_ERRORS)) {
        qpdf_oh metadata = qpdf_oh_get_key_if_dict(qpdf, qpdf_get_root(qpdf), "/Metadata");

        if (qpdf_oh_is_stream(qpdf, metadata) &&
            !(qpdf_oh_get_stream_data(qpdf, metadata, qpdf_dl_all, NULL, &xmp, &len) & QPDF_ERRORS) && xmp)
            claims = claims_part_1((const char *)xmp, len);
    }
    free(xmp);
    qpdf_cleanup(&qpdf);
    return claims;
}

/* --- a job */

/* The system's words for what ended a write are all that it tells. */
static enum outcome of_error(const char *error)
{
    static const int ends[] = {ENOSPC, EFBIG, EDQUOT};

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (strstr(error, strerrordesc_np(ends[i])))
            return outcome_of_error(-ends[i]);
    return strstr(error, "bad_alloc") ? OUTCOME_TOO_COMPLEX : OUTCOME_CORRUPT_INPUT;
}

enum outcome work_run(const json_t *work, struct engine_job *job)
{
    _cleanup_json_ json_t *told = json_copy((json_t *)work);
    const char *output = json_string_value(json_object_get(work, "outputFile"));
    struct said said;
    int status;

    if (job)
        work_set(told, "progress", "");
    status = run(told, job, &said);
    if (status == EXIT_NOT_STARTED)
        return OUTCOME_INTERNAL;
    if (status != qpdf_exit_success && status != qpdf_exit_warning)
        return of_error(said.error);
    return json_object_get(work, "splitPages") ? OUTCOME_OK : work_prove(work, output);
}

/* --- a look */

/* It isn't opened by what was given, though it could be by something? */
static bool is_locked(const char *path, const char *password)
{
    _cleanup_json_ json_t *work = work_new(path, password);
    struct said said;

    work_set(work, "requiresPassword", "");
    return run(work, NULL, &said) == qpdf_exit_success;
}

enum outcome work_look(const char *path, const char *password, uint64_t *ret_pages)
{
    _cleanup_json_ json_t *work = work_new(path, password);
    struct said said;
    int status;

    work_set(work, "showNpages", "");
    status = run(work, NULL, &said);
    if (status == EXIT_NOT_STARTED)
        return OUTCOME_INTERNAL;
    if (status != qpdf_exit_success && status != qpdf_exit_warning)
        return is_locked(path, password) ? OUTCOME_PASSWORD_REQUIRED : of_error(said.error);
    said.info[strcspn(said.info, "\n")] = '\0';
    return str_to_u64(said.info, 1, UINT32_MAX, ret_pages) < 0 ? OUTCOME_CORRUPT_INPUT : OUTCOME_OK;
}
