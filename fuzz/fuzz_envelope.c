/* Task messages. Whatever is in a list of Redis, reading it must not crash, and says why it is refused; what
 * is taken can be written again, and read again as the same task. Times are read a second time, slowly. */
#include "fuzz.h"

#include "core/str.h"
#include "queue/envelope.h"
#include "queue/iso_time.h"

#include <errno.h>
#include <regex.h>

enum { TIME_MAX = 64 };

/* Without timegm(): the days of all years and months before. */
static int64_t days_since_1970(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = day - 1;

    for (int y = 1970; y < year; y++)
        days += 365 + (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    for (int y = year; y < 1970; y++)
        days -= 365 + (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    for (int m = 1; m <= 12; m++) {
        int length = lengths[m - 1] + (m == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));

        if (m == month && (day < 1 || day > length))
            return INT64_MIN;
        if (m < month)
            days += length;
    }
    return month < 1 || month > 12 ? INT64_MIN : days;
}

static int part(const char *s, regmatch_t at)
{
    int value = 0;

    for (regoff_t i = at.rm_so; i < at.rm_eo; i++)
        value = value * 10 + (s[i] - '0');
    return value;
}

static int read_time_slowly(const char *s, uint64_t *ret_ms)
{
    static regex_t regex;
    static bool compiled;
    regmatch_t at[13];
    int64_t days, seconds, ms = 0, away;

    if (!compiled)
        compiled = regcomp(&regex,
                           "^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
                           "(\\.([0-9]{1,9}))?(Z|([+-])([0-9]{2}):?([0-9]{2}))?$",
                           REG_EXTENDED) == 0;
    if (regexec(&regex, s, ARRAY_SIZE(at), at, 0) != 0)
        return -EINVAL;
    days = days_since_1970(part(s, at[1]), part(s, at[2]), part(s, at[3]));
    if (days == INT64_MIN || part(s, at[4]) > 23 || part(s, at[5]) > 59 || part(s, at[6]) > 59)
        return -EINVAL;
    seconds = days * 86400 + part(s, at[4]) * 3600 + part(s, at[5]) * 60 + part(s, at[6]);
    for (int i = 0; at[7].rm_so >= 0 && i < 3; i++)
        ms = ms * 10 + (at[8].rm_so + i < at[8].rm_eo ? s[at[8].rm_so + i] - '0' : 0);
    if (at[10].rm_so >= 0) {
        if (part(s, at[11]) > 23 || part(s, at[12]) > 59)
            return -EINVAL;
        away = part(s, at[11]) * 3600 + part(s, at[12]) * 60;
        seconds += s[at[10].rm_so] == '+' ? -away : away;
    }
    *ret_ms = (uint64_t)(seconds * 1000 + ms);
    return seconds < 0 ? -EINVAL : 0;
}

static void require_same_time(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    uint64_t ms = 0, slow = 0;
    int r = iso_time_parse(text, &ms);

    require(r == read_time_slowly(text, &slow) && (r < 0 || ms == slow));
}

static void require_same(const struct envelope *e)
{
    struct envelope_task task = {.id = e->id,
                                 .name = e->name,
                                 .kwargs = e->kwargs,
                                 .queue = "q",
                                 .origin = "o",
                                 .reply_to = e->reply_to ? e->reply_to : "r"};
    _cleanup_envelope_ struct envelope again = {0};
    _cleanup_free_ char *message = NULL;
    const char *why = NULL;
    int r = envelope_encode(&task, &message);

    if (r == -EMSGSIZE) /* it came with less white space, or with shorter escapes */
        return;
    require(r == 0 && strlen(message) <= ENVELOPE_MAX_BYTES);
    r = envelope_decode(message, strlen(message), &again, &why);
    require(r == 0);
    require(str_eq(again.id, e->id) && str_eq(again.name, e->name));
    require(json_equal(again.kwargs, e->kwargs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_envelope_ struct envelope e = {0};
    const char *why = NULL;
    int r = envelope_decode((const char *)data, size, &e, &why);

    if (size < TIME_MAX)
        require_same_time(data, size);
    require(r == 0 || r == -EBADMSG);
    if (r < 0) {
        require(why && *why);
        return 0;
    }
    require(e.id && e.name && json_is_array(e.args) && json_is_object(e.kwargs));
    require_same(&e);
    return 0;
}
