#include "core/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t clock_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_mono_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_real_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void clock_rfc3339(uint64_t real_ms, char ret[CLOCK_RFC3339_LEN + 1])
{
    time_t s = (time_t)(real_ms / 1000);
    struct tm tm;
    char date[CLOCK_RFC3339_LEN];

    gmtime_r(&s, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret, CLOCK_RFC3339_LEN + 1, "%.19s.%03uZ", date, (unsigned)(real_ms % 1000));
}
