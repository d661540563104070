#include "api/failure.h"

#include "core/cleanup.h"
#include "core/str.h"

/* 422: it would end so again; 5xx: another time it may not. */
static const struct api_error_info failures[] = {
    {500, "internal", "The conversion failed", 0},
    {422, "infected", "Malware was found", 0, true},
    {503, "scanner_unavailable", "The virus scanner is away", 30},
    {422, "password_required", "Protected by a password", 0},
    {422, "corrupt_input", "The file is damaged", 0},
    {422, "too_complex", "The file is too complex", 0},
    {504, "timed_out", "The conversion took too long", 0},
    {500, "engine_crashed", "The converter stopped", 0},
    {422, "no_output", "There is no result", 0},
    {409, "cancelled_by_user", "The conversion was cancelled", 0},
    {503, "cancelled_by_operator", "The conversion was cancelled", 30},
    {422, "unsupported_content", "A file in it can't be converted", 0},
    {422, "bad_options", "The file does not have what the options ask for", 0},
    {422, "language_missing", "A language is not installed", 0},
};

const struct api_error_info *failure_info(const char *error_code)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        if (str_eq(failures[i].code, error_code))
            return &failures[i];
    return &failures[0];
}

const struct api_error_info *failure_get(size_t index)
{
    return index < ARRAY_SIZE(failures) ? &failures[index] : NULL;
}
