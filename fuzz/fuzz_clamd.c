/* The answers of clamd. An input is a byte that says what was asked for, and the answer: nothing but the
 * exact words, after all of the file was sent, makes a file clean. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "files/clamd.h"

#include <regex.h>

static bool is_ok(const char *answer)
{
    static regex_t regex;
    static bool compiled;

    if (!compiled)
        compiled = regcomp(&regex, "^(stream|fd\\[[0-9]*\\]): OK$", REG_EXTENDED | REG_NOSUB) == 0;
    return regexec(&regex, answer, 0, NULL, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum clamd_question question = size > 0 && data[0] & 1 ? CLAMD_ASKED_VERSION : CLAMD_ASKED_SCAN;
    bool sent_all = size > 0 && data[0] & 2, scan = question == CLAMD_ASKED_SCAN;
    _cleanup_free_ char *answer = size > 0 ? strndup((const char *)data + 1, size - 1) : strdup("");
    _cleanup_free_ char *copy = strdup(answer);
    bool ok = is_ok(answer);
    const char *detail = NULL;
    enum clamd_verdict verdict;

    require(answer && copy);
    verdict = clamd_judge(question, sent_all, copy, &detail);
    require(detail && strlen(detail) <= strlen(answer) + 32);
    if (!scan)
        require((verdict == CLAMD_CLEAN) == (strncmp(answer, "ClamAV ", 7) == 0) &&
                verdict != CLAMD_INFECTED);
    else
        require((verdict == CLAMD_CLEAN) == (ok && sent_all));
    if (scan && strstr(answer, "Eicar FOUND"))
        require(verdict != CLAMD_CLEAN);
    if (verdict == CLAMD_INFECTED || verdict == CLAMD_INCOMPLETE)
        require(scan && *detail && strlen(detail) + strlen(" FOUND") < strlen(answer));
    return 0;
}
