#include "worker/deadline.h"

#include "core/str.h"
#include "files/zipdir.h"

#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

/* Generous: a deadline is there for what hangs, and a machine where everybody waits for a core must not fail
 * an honest file. With two or three conversions waiting for each core, a MiB of CSV took the office engine 22
 * seconds, half a MiB of plain text 13, and a docx that inflates to 2.5 MB 20. A PDF, of which 4 KiB may be a
 * page, gets more than it asked for. */
static const struct {
    const char *engine;
    uint64_t base_s, per_mib_s, per_page_ms;
} rates[] = {
    {"office", 20, 60, 0}, /* LibreOffice counts pages by laying all of them out, which is the work itself */
    {"pdf", 60, 60, 2000}, /* a page at 600 dpi takes 0.6 s of CPU time */
    {"image", 45, 15, 1000},
    {"markup", 30, 60, 0},
    {"archive", 60, 60, 0},  /* a MiB may unpack to hundreds, which xz takes a second each for */
    {"pages", 60, 30, 50},   /* qpdf writes 30 MiB a second, but to split by size is to try */
    {"press", 60, 60, 1000}, /* a page that becomes a picture takes half a second */
    {"ocr", 60, 60, 20000},  /* a dense page takes four seconds of CPU time */
    {"font", 30, 30, 0},
    {"media", 60, 60, 0}, /* ten seconds of a film in full HD, which one core makes H.264 of in twenty */
};

uint64_t deadline_content(int fd, const struct format *from)
{
    struct zipdir *z;
    struct stat st;
    uint64_t inflated;

    if (from->structure != STRUCTURE_OOXML && from->structure != STRUCTURE_ODF)
        return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : DEADLINE_CONTENT_UNKNOWN;
    /* No archive is what an encrypted OOXML file is, whose size says nothing: it was deflated before. */
    if (zipdir_open(fd, &z) < 0)
        return DEADLINE_CONTENT_UNKNOWN;
    inflated = zipdir_inflated(z);
    zipdir_close(z);
    return inflated;
}

uint64_t deadline_ms(const struct settings *settings, const char *engine, uint64_t content)
{
    const uint64_t least = settings->job_timeout_min_s * 1000, most = settings->job_timeout_s * 1000;

    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        uint64_t ms;

        if (!str_eq(rates[i].engine, engine))
            continue;
        if (__builtin_mul_overflow(content, rates[i].per_mib_s * 1000, &ms))
            return most;
        ms = rates[i].base_s * 1000 + ms / MIB;
        return ms < least ? least : ms > most ? most : ms;
    }
    return most; /* an engine that nobody has measured */
}

/* clamd takes 30 ms for a MiB with one signature, alone on a core. */
uint64_t deadline_scan_ms(const struct settings *settings, uint64_t content)
{
    enum { BASE_MS = 10000, PER_MIB_MS = 500 };
    const uint64_t most = settings->scan_timeout_s * 1000;
    uint64_t ms;

    if (__builtin_mul_overflow(content, (uint64_t)PER_MIB_MS, &ms))
        return most;
    ms = BASE_MS + ms / MIB;
    return ms < most ? ms : most;
}

uint64_t deadline_page_ms(const char *engine)
{
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        if (str_eq(rates[i].engine, engine))
            return rates[i].per_page_ms;
    return 0;
}

uint64_t deadline_cpu_s(uint64_t ms, unsigned cores)
{
    enum { CORES_MAX = 8 }; /* no engine computes with more threads */

    return (ms + 999) / 1000 * (cores < 1 ? 1 : cores > CORES_MAX ? CORES_MAX : cores);
}
