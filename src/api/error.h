/* Every error that a client can get: one table of stable codes, each with its status. The documentation is
 * made from it. */
#pragma once

#include <stdbool.h>

enum api_error {
    API_BAD_REQUEST,
    API_SESSION_REQUIRED,
    API_AUTH_REQUIRED,
    API_AUTH_INVALID,
    API_LOGIN_FAILED,
    API_CSRF_INVALID,
    API_PLAN_REQUIRED,
    API_SCOPE_REQUIRED,
    API_CALLBACK_REFUSED,
    API_JOB_NOT_FOUND,
    API_TOKEN_INVALID,
    API_NOT_FOUND,
    API_METHOD_NOT_ALLOWED,
    API_REQUEST_TIMEOUT,
    API_WRONG_STATE,
    API_TOO_LARGE,
    API_UNSUPPORTED_TYPE,
    API_TYPE_MISMATCH,
    API_EMPTY_FILE,
    API_UNSUPPORTED_TARGET,
    API_NO_PREVIEW,
    API_RATE_LIMITED,
    API_RANGE_NOT_SATISFIABLE,
    API_HEADERS_TOO_LARGE,
    API_INTERNAL,
    API_UNAVAILABLE,
    API_STORAGE_FULL,
    API_IDEMPOTENCY_BUSY,
    API_IDEMPOTENCY_MISMATCH,
    API_UPLOAD_NOT_FOUND,
    API_OFFSET_MISMATCH,
    API_TUS_VERSION,
    API_UPLOAD_BUSY,
    API_CHECKSUM_MISMATCH,
    API_ERROR_COUNT_,
};

struct api_error_info {
    unsigned status;
    const char *code, *title;
    unsigned retry_after_s; /* 0: no such header */
    bool audit;             /* a refusal for the sake of security or of a limit */
    const char *challenge;  /* of WWW-Authenticate (RFC 6750), as each 401 has it; NULL: no such header */
};

const struct api_error_info *api_error_info(enum api_error error);

/* The error of that code, or -ENOENT. */
int api_error_find(const char *code);
/* The error for a refusal of the HTTP layer itself, which only knows the status. */
enum api_error api_error_for_status(unsigned status);
