/* How a conversion ends: the stable codes of a failed job (`error_code` in the API), in one table. */
#pragma once

enum outcome {
    OUTCOME_OK,
    OUTCOME_INFECTED,
    OUTCOME_SCANNER_UNAVAILABLE,
    OUTCOME_PASSWORD_REQUIRED,
    OUTCOME_CORRUPT_INPUT,
    OUTCOME_TOO_COMPLEX, /* a resource limit: memory, CPU time, pages, pixels, size of the result */
    OUTCOME_TIMED_OUT,
    OUTCOME_ENGINE_CRASHED,
    OUTCOME_NO_OUTPUT,
    OUTCOME_CANCELLED,
    OUTCOME_INTERNAL,
    OUTCOME_SCAN_INCOMPLETE,     /* too complex for the virus scanner: clients see the same code */
    OUTCOME_SCAN_ENCRYPTED,      /* the same, as part of it is encrypted, where the policy refuses that */
    OUTCOME_REVOKED,             /* cancelled by the operator (Celery's remote control) */
    OUTCOME_UNSUPPORTED_CONTENT, /* of many files one can't become what is wanted */
    OUTCOME_BAD_OPTIONS,      /* they ask for what this very file doesn't have, such as a page of it, or say
                                 of it what isn't so */
    OUTCOME_LANGUAGE_MISSING, /* no data to read one of the languages asked for */
    OUTCOME_COUNT_,
};

/* The code clients see, such as "corrupt_input"; "ok" for OUTCOME_OK. Two may have the same, and then tell it
 * by different sentences. */
const char *outcome_code(enum outcome outcome);

/* A sentence that helps the person who uploaded the file. It names no path and no other person's data. */
const char *outcome_sentence(enum outcome outcome);

/* Of 0 or an -errno that an engine met in writing a result: internal, or too_complex for want of room. */
enum outcome outcome_of_error(int r);

/* Exit status of `decant convert` for this outcome: 0, or 10 and up, one for each code. */
int outcome_exit_status(enum outcome outcome);
