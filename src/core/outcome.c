#include "core/outcome.h"

#include "core/str.h"

#include <assert.h>
#include <errno.h>

static const struct {
    const char *code, *sentence;
} outcomes[OUTCOME_COUNT_] = {
    [OUTCOME_OK] = {"ok", "The file was converted."},
    [OUTCOME_INFECTED] = {"infected", "The virus scanner found malware in this file. It was deleted."},
    [OUTCOME_SCANNER_UNAVAILABLE] =
        {"scanner_unavailable",
         "The file could not be checked for viruses, so it was not converted. Try again "
         "in a few minutes."},
    [OUTCOME_PASSWORD_REQUIRED] =
        {"password_required",
         "The document is protected by a password, which is missing or wrong. Convert it again "
         "with the right one."},
    [OUTCOME_CORRUPT_INPUT] =
        {"corrupt_input",
         "The file is damaged or not a complete document of its type. Open it in the program "
         "that made it and save it again."},
    [OUTCOME_TOO_COMPLEX] =
        {"too_complex",
         "The conversion needed more memory or processing time than is allowed for one file. Try "
         "a smaller document or fewer pages."},
    [OUTCOME_TIMED_OUT] = {"timed_out", "The conversion took longer than is allowed and was stopped."},
    [OUTCOME_ENGINE_CRASHED] = {"engine_crashed",
                                "The converter stopped unexpectedly on this file. The file may be damaged."},
    [OUTCOME_NO_OUTPUT] = {"no_output", "The converter finished without a usable result for this file."},
    [OUTCOME_CANCELLED] = {"cancelled_by_user", "The conversion was cancelled."},
    [OUTCOME_INTERNAL] = {"internal", "Something went wrong on the server. Try again."},
    [OUTCOME_SCAN_INCOMPLETE] =
        {"too_complex",
         "The virus scanner could not look through all of this file, as it is too large or packed too deep, "
         "so it was not converted. Try a simpler file, without archives in it."},
    [OUTCOME_SCAN_ENCRYPTED] =
        {"too_complex",
         "A part of this file is encrypted, so that the virus scanner can't look through it, and this server "
         "converts no such files. Try it without the protection."},
    [OUTCOME_REVOKED] = {"cancelled_by_operator",
                         "The conversion was cancelled by the operator of this server."},
    [OUTCOME_UNSUPPORTED_CONTENT] =
        {"unsupported_content",
         "A file in it is of a type that can't be converted into that format, or isn't what its name says."},
    [OUTCOME_BAD_OPTIONS] =
        {"bad_options", "The options ask for something that this file does not have, such as a page behind "
                        "its last one, or name another encoding than its own. Convert it again with others."},
    [OUTCOME_LANGUAGE_MISSING] = {"language_missing", "This server can't read one of the languages that were "
                                                      "asked for. Ask for others, or its operator to "
                                                      "install that one."},
};

const char *outcome_code(enum outcome outcome)
{
    assert(outcome < OUTCOME_COUNT_);
    return outcomes[outcome].code;
}

const char *outcome_sentence(enum outcome outcome)
{
    assert(outcome < OUTCOME_COUNT_);
    return outcomes[outcome].sentence;
}

enum outcome outcome_of_error(int r)
{
    if (r == 0)
        return OUTCOME_OK;
    return r == -EFBIG || r == -ENOSPC || r == -ENOMEM || r == -EDQUOT ? OUTCOME_TOO_COMPLEX
                                                                       : OUTCOME_INTERNAL;
}

int outcome_exit_status(enum outcome outcome)
{
    int first = OUTCOME_OK;

    while (!str_eq(outcomes[first].code, outcome_code(outcome)))
        first++;
    return first == OUTCOME_OK ? 0 : 9 + first;
}
