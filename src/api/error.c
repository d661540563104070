#include "api/error.h"

#include <assert.h>

static const struct api_error_info errors[API_ERROR_COUNT_] = {
    [API_BAD_REQUEST] = {400, "bad_request", "Bad request", 0},
    [API_SESSION_REQUIRED] = {401, "session_required", "Session required", 0, true},
    [API_CSRF_INVALID] = {403, "csrf_invalid", "Could be a forged request", 0, true},
    [API_JOB_NOT_FOUND] = {404, "job_not_found", "Job not found", 0, true},
    [API_TOKEN_INVALID] = {404, "token_invalid", "Download link unknown or expired", 0, true},
    [API_NOT_FOUND] = {404, "not_found", "Not found", 0},
    [API_METHOD_NOT_ALLOWED] = {405, "method_not_allowed", "Method not allowed", 0},
    [API_REQUEST_TIMEOUT] = {408, "request_timeout", "Request timeout", 0},
    [API_WRONG_STATE] = {409, "wrong_state", "The job is not in a state for that", 0},
    [API_TOO_LARGE] = {413, "too_large", "Too large", 0, true},
    [API_UNSUPPORTED_TYPE] = {415, "unsupported_type", "Unsupported file type", 0, true},
    [API_TYPE_MISMATCH] = {422, "type_mismatch", "The content is not what the name says", 0, true},
    [API_RANGE_NOT_SATISFIABLE] = {416, "range_not_satisfiable", "Range not satisfiable", 0},
    [API_EMPTY_FILE] = {422, "empty_file", "Empty file", 0},
    [API_UNSUPPORTED_TARGET] = {422, "unsupported_target", "Target format not available", 0},
    [API_NO_PREVIEW] = {422, "no_preview", "No picture of this result", 0},
    [API_RATE_LIMITED] = {429, "rate_limited", "Too many requests", 5, true},
    [API_HEADERS_TOO_LARGE] = {431, "headers_too_large", "Request header too large", 0, true},
    [API_INTERNAL] = {500, "internal", "Internal error", 0},
    [API_UNAVAILABLE] = {503, "unavailable", "Temporarily unavailable", 2},
    [API_STORAGE_FULL] = {507, "storage_full", "Storage full", 0, true},
};

const struct api_error_info *api_error_info(enum api_error error)
{
    assert(error < API_ERROR_COUNT_);
    return &errors[error];
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
