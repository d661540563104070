#include "cli/remote_fault.h"

#include "cli/convert_plan.h"
#include "core/outcome.h"
#include "core/str.h"

int remote_outcome_status(const char *code, int otherwise)
{
    for (int i = OUTCOME_OK + 1; i < OUTCOME_COUNT_; i++)
        if (str_eq(code, outcome_code((enum outcome)i)))
            return outcome_exit_status((enum outcome)i);
    return otherwise;
}

int remote_exit_status(const struct remote_fault *fault, int otherwise)
{
    static const struct {
        const char *code;
        int status;
    } ours[] = {{"not_logged_in", REMOTE_EXIT_LOGIN},
                {"bad_request", CONVERT_EXIT_USAGE},
                {"input_unreadable", CONVERT_EXIT_INPUT},
                {"output_unwritable", CONVERT_EXIT_OUTPUT}};

    for (size_t i = 0; fault->status == 0 && i < ARRAY_SIZE(ours); i++)
        if (str_eq(fault->code, ours[i].code))
            return ours[i].status;
    if (fault->status == 401 || fault->status == 403)
        return REMOTE_EXIT_LOGIN;
    if (fault->status == 0 || fault->status == 429 || fault->status >= 500)
        return remote_outcome_status(str_eq(fault->code, "internal") ? "" : fault->code, REMOTE_EXIT_SERVER);
    return remote_outcome_status(fault->code, otherwise);
}

void remote_print_text(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

int remote_complain(const char *command, const struct remote_fault *fault)
{
    fprintf(stderr, "%s: ", command);
    remote_print_text(stderr, fault->message);
    if (fault->status != 0)
        fprintf(stderr, " (%s)", fault->code);
    fputc('\n', stderr);
    return remote_exit_status(fault, EXIT_FAILURE);
}
