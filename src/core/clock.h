/* Time: monotonic for intervals and deadlines, real for what people and Redis see. */
#pragma once

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Milliseconds since 1970-01-01T00:00:00Z. */
uint64_t clock_real_ms(void);

#define CLOCK_RFC3339_LEN 24
/* RFC 3339 in UTC with milliseconds: 2026-11-21T18:53:55.123Z. `ret` receives 24 characters and a NUL. */
void clock_rfc3339(uint64_t real_ms, char ret[CLOCK_RFC3339_LEN + 1]);
