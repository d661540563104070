/* How long a conversion may take: what its file is worth, between DECANT_JOB_TIMEOUT_MIN and
 * DECANT_JOB_TIMEOUT.
 *
 * The amount of content is known at the start. How many pages a file has is known to nobody before a parser
 * has been through it, and parsers run nowhere but in the sandbox: the child tells once it knows, and the
 * deadline grows. A file that lies about its pages gains no more than what any file may be given. */
#pragma once

#include "core/settings.h"
#include "format/format.h"

#include <stdint.h>

/* The content of the upload `fd` (borrowed; its offset stays) in bytes: what its members inflate to where a
 * `from` is a ZIP archive, else its size. DEADLINE_CONTENT_UNKNOWN where that can't be told. */
#define DEADLINE_CONTENT_UNKNOWN UINT64_MAX
uint64_t deadline_content(int fd, const struct format *from);

/* In milliseconds, for so much content in that engine, and for each page besides. */
uint64_t deadline_ms(const struct settings *settings, const char *engine, uint64_t content);
uint64_t deadline_page_ms(const char *engine);

/* How long one try to have `content` scanned may take: more for more, at most DECANT_SCAN_TIMEOUT. */
uint64_t deadline_scan_ms(const struct settings *settings, uint64_t content);

/* The limit on processor time that goes with a deadline, in seconds of all threads together: what so many
 * cores can give until then. So an honest child never meets it before its deadline, however many threads it
 * computes with; it is there for when the worker, which keeps the deadline, is halted. */
uint64_t deadline_cpu_s(uint64_t ms, unsigned cores);
