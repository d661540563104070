#include "http/prefer.h"

#include "core/str.h"

#include <stdio.h>
#include <strings.h>

enum { WORD_MAX = 32 };

/* One preference up to its parameters, without blanks: "wait=10". */
static void read_one(struct prefer *p, const char *word, size_t len)
{
    char text[WORD_MAX] = "", digits[WORD_MAX];
    size_t n = 0, quote;
    uint64_t seconds;

    for (size_t i = 0; i < len; i++)
        if (word[i] != ' ' && word[i] != '\t' && n < sizeof text - 1)
            text[n++] = word[i];
    if (strcasecmp(text, "respond-async") == 0)
        p->respond_async = true;
    if (p->has_wait || strncasecmp(text, "wait=", 5) != 0)
        return;
    quote = text[5] == '"';
    snprintf(digits, sizeof digits, "%s", text + 5 + quote);
    if (quote)
        digits[strcspn(digits, "\"")] = '\0';
    if (str_to_u64(digits, 0, UINT32_MAX, &seconds) < 0)
        return;
    p->has_wait = true;
    p->wait_s = seconds;
}

void prefer_read(struct prefer *p, const char *line)
{
    while (line && *line) {
        read_one(p, line, strcspn(line, ";,"));
        line += strcspn(line, ",");
        line += *line == ',';
    }
}
