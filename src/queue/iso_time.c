#include "queue/iso_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Exactly `digits` decimal digits at *s, which moves past them. */
static bool number(const char **s, int digits, int *ret)
{
    int value = 0;

    for (; digits > 0; digits--, (*s)++) {
        if (!isdigit((unsigned char)**s))
            return false;
        value = value * 10 + (**s - '0');
    }
    *ret = value;
    return true;
}

static bool literal(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

static bool date_and_time(const char **s, struct tm *tm)
{
    if (!number(s, 4, &tm->tm_year) || !literal(s, '-') || !number(s, 2, &tm->tm_mon) || !literal(s, '-') ||
        !number(s, 2, &tm->tm_mday) || !(literal(s, 'T') || literal(s, ' ')) || !number(s, 2, &tm->tm_hour) ||
        !literal(s, ':') || !number(s, 2, &tm->tm_min) || !literal(s, ':') || !number(s, 2, &tm->tm_sec))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return true;
}

/* Up to nine digits after a point; nothing at all is 0. */
static bool fraction(const char **s, int *ret_ms)
{
    int weight = 100, n = 0;

    *ret_ms = 0;
    if (!literal(s, '.'))
        return true;
    for (; isdigit((unsigned char)**s) && n < 9; (*s)++, n++, weight /= 10)
        *ret_ms += weight * (**s - '0');
    return n > 0;
}

/* "", Z, +HH:MM, +HHMM, -HH:MM … */
static bool offset(const char **s, int *ret_seconds)
{
    int hours, minutes, sign;

    *ret_seconds = 0;
    if (**s == '\0' || literal(s, 'Z'))
        return true;
    sign = **s == '+' ? 1 : -1;
    if (!literal(s, '+') && !literal(s, '-'))
        return false;
    if (!number(s, 2, &hours))
        return false;
    (void)literal(s, ':');
    if (!number(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

int iso_time_parse(const char *s, uint64_t *ret_ms)
{
    struct tm tm = {0};
    int ms, away;

    if (!s || !date_and_time(&s, &tm) || !fraction(&s, &ms) || !offset(&s, &away) || *s)
        return -EINVAL;

    /* timegm() puts what is out of range into range, so a date that comes back changed never was. */
    struct tm normal = tm;
    time_t t = timegm(&normal);

    if (normal.tm_year != tm.tm_year || normal.tm_mon != tm.tm_mon || normal.tm_mday != tm.tm_mday ||
        normal.tm_hour != tm.tm_hour || normal.tm_min != tm.tm_min || normal.tm_sec != tm.tm_sec)
        return -EINVAL;
    t -= away;
    if (t < 0)
        return -EINVAL;
    *ret_ms = (uint64_t)t * 1000 + (uint64_t)ms;
    return 0;
}
