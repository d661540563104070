/* Virus scanning by clamd (clamd(8), section COMMANDS): FILDES over a Unix socket, INSTREAM over TCP.
 * Asynchronous, on a libuv loop; every scan has a deadline, and anything but an exact OK is no pass. */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>
#include <uv.h>

enum clamd_verdict {
    CLAMD_CLEAN,
    CLAMD_INFECTED,
    CLAMD_INCOMPLETE, /* it could not look through all of the file, and found nothing in what it saw */
    CLAMD_UNAVAILABLE,
};

/* `detail`: the signature's name (of INCOMPLETE: the limit's), or why there is no verdict. Lives during the
 * callback. */
typedef void clamd_fn(void *arg, enum clamd_verdict verdict, const char *detail);

struct clamd_scan;

/* `url` is unix:PATH or tcp:HOST:PORT. `fd` is borrowed until the callback. The callback comes exactly once,
 * never before this call has returned; the scan is gone then. NULL, and no callback, only without memory.
 * Files of any size: INSTREAM sends from the offset 0 to the end. */
struct clamd_scan *clamd_scan_start(uv_loop_t *loop, const char *url, int fd, uint64_t timeout_ms,
                                    clamd_fn *fn, void *arg);
/* No callback comes after this, and `fd` is free again. Not after the callback. The loop must turn once more
 * for the handles to close. */
void clamd_scan_cancel(struct clamd_scan *s);

/* Asks for the version ("ClamAV 1.4.6/27000/…"), for health: CLEAN with it in `detail`, or UNAVAILABLE. */
struct clamd_scan *clamd_version(uv_loop_t *loop, const char *url, uint64_t timeout_ms, clamd_fn *fn,
                                 void *arg);
