#include "api/error.h"

#include "core/str.h"

#include <assert.h>
#include <errno.h>

static const struct api_error_info errors[API_ERROR_COUNT_] = {
    [API_BAD_REQUEST] = {400, "bad_request", "Bad request", 0},
    [API_SESSION_REQUIRED] = {401, "session_required", "Session required", 0, true, "Bearer"},
    [API_AUTH_REQUIRED] = {401, "auth_required", "Account required", 0, true, "Bearer"},
    [API_AUTH_INVALID] = {401, "auth_invalid", "Bearer unknown or expired", 0, true,
                          "Bearer error=\"invalid_token\""},
    [API_PLAN_REQUIRED] = {403, "plan_required", "Another plan required", 0, true},
    [API_SCOPE_REQUIRED] = {403, "scope_required", "Another scope required", 0, true,
                            "Bearer error=\"insufficient_scope\""},
    [API_LOGIN_FAILED] = {401, "login_failed", "Login failed", 0, false, "Bearer"},
    [API_CSRF_INVALID] = {403, "csrf_invalid", "Could be a forged request", 0, true},
    [API_CALLBACK_REFUSED] = {403, "callback_refused", "No webhook to there", 0, true},
    [API_JOB_NOT_FOUND] = {404, "job_not_found", "Job not found", 0, true},
    [API_TOKEN_INVALID] = {404, "token_invalid", "Download link unknown or expired", 0, true},
    [API_NOT_FOUND] = {404, "not_found", "Not found", 0},
    [API_METHOD_NOT_ALLOWED] = {405, "method_not_allowed", "Method not allowed", 0},
    [API_REQUEST_TIMEOUT] = {408, "request_timeout", "Request timeout", 0},
    [API_WRONG_STATE] = {409, "wrong_state", "The job is not in a state for that", 0},
    [API_TOO_LARGE] = {413, "too_large", "Too large", 0, true},
    [API_UNSUPPORTED_TYPE] = {415, "unsupported_type", "Unsupported file type", 0, true},
    [API_TYPE_MISMATCH] = {422, "type_mismatch", "The content of the file is not what its extension says", 0,
                           true},
    [API_RANGE_NOT_SATISFIABLE] = {416, "range_not_satisfiable", "Range not satisfiable", 0},
    [API_EMPTY_FILE] = {422, "empty_file", "Empty file", 0},
    [API_UNSUPPORTED_TARGET] = {422, "unsupported_target", "Target format not available", 0},
    [API_NO_PREVIEW] = {422, "no_preview", "No picture of this result", 0},
    [API_RATE_LIMITED] = {429, "rate_limited", "Too many requests", 5, true},
    [API_HEADERS_TOO_LARGE] = {431, "headers_too_large", "Request header too large", 0, true},
    [API_INTERNAL] = {500, "internal", "Internal error", 0},
    [API_UNAVAILABLE] = {503, "unavailable", "Temporarily unavailable", 2},
    [API_STORAGE_FULL] = {507, "storage_full", "Storage full", 0, true},
    [API_IDEMPOTENCY_BUSY] = {409, "idempotency_busy", "The same request is under way", 1},
    [API_IDEMPOTENCY_MISMATCH] = {422, "idempotency_mismatch", "Another request had this key", 0},
    [API_UPLOAD_NOT_FOUND] = {404, "upload_not_found", "Upload not found", 0, true},
    [API_OFFSET_MISMATCH] = {409, "offset_mismatch", "The upload stands elsewhere", 0},
    [API_TUS_VERSION] = {412, "tus_version", "Another version of the tus protocol", 0},
    [API_UPLOAD_BUSY] = {423, "upload_busy", "Another request goes on with this upload", 0},
    [API_CHECKSUM_MISMATCH] = {460, "checksum_mismatch", "The bytes are not what their checksum says", 0},
};

const struct api_error_info *api_error_info(enum api_error error)
{
    assert(error < API_ERROR_COUNT_);
    return &errors[error];
}

int api_error_find(const char *code)
{
    for (int i = 0; i < API_ERROR_COUNT_; i++)
        if (str_eq(errors[i].code, code))
            return i;
    return -ENOENT;
}

enum api_error api_error_for_status(unsigned status)
{
    if (status == 404)
        return API_NOT_FOUND;
    for (unsigned i = 0; i < API_ERROR_COUNT_; i++)
        if (errors[i].status == status)
            return (enum api_error)i;
    return status < 500 ? API_BAD_REQUEST : API_INTERNAL;
}
