/* Virus scanning by clamd (clamd(8), section COMMANDS): FILDES over a Unix socket, INSTREAM over TCP.
 * Asynchronous, on a libuv loop; every scan has a deadline, and anything but an exact OK is no pass.
 *
 * Connections are kept and used again (files/clamd_link.h), one scan at a time on each, and no more of them
 * than clamd has threads: what comes beyond waits in line, within its deadline. A scan whose kept connection
 * turns out to be dead is asked once more on a fresh one. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum clamd_verdict {
    CLAMD_CLEAN,
    CLAMD_INFECTED,
    CLAMD_INCOMPLETE, /* it could not look through all of the file, and found nothing in what it saw */
    CLAMD_ENCRYPTED,  /* the same, since a part is encrypted: clamd tells it where it is set to
                         (AlertEncrypted) */
    CLAMD_UNAVAILABLE,
};

/* `detail`: the signature's name (of INCOMPLETE and ENCRYPTED: the heuristic's), or why there is no verdict.
 * Lives during the callback. */
typedef void clamd_fn(void *arg, enum clamd_verdict verdict, const char *detail);

/* Below the threads that clamd has unless told otherwise (MaxThreads 10). */
enum { CLAMD_CONNECTIONS = 8 };

struct clamd;
struct clamd_scan;

/* `url` is unix:PATH or tcp:HOST:PORT; what is neither has no scan that succeeds. NULL without memory. */
struct clamd *clamd_new(uv_loop_t *loop, const char *url, unsigned connections);
/* How many kept connections have ended by themselves: it grows when clamd is started again. A watcher that
 * asks for the version every few seconds keeps one. */
unsigned clamd_lost(const struct clamd *c);
/* After its last scan: none is under way. NULL is fine. The loop must turn once more. */
void clamd_free(struct clamd *c);

/* `fd` is borrowed until the callback. The callback comes exactly once, never before this call has returned;
 * the scan is gone then. NULL, and no callback, only without memory. Files of any size: INSTREAM sends from
 * the offset 0 to the end. */
struct clamd_scan *clamd_scan_start(struct clamd *c, int fd, uint64_t timeout_ms, clamd_fn *fn, void *arg);
/* No callback comes after this, and `fd` is free again. Not after the callback. The loop must turn once more
 * for the handles to close. */
void clamd_scan_cancel(struct clamd_scan *s);

/* Asks for the version ("ClamAV 1.4.6/27000/…"), for health: CLEAN with it in `detail`, or UNAVAILABLE. It
 * does not wait in line: how busy the scanner is says nothing about whether it is there. */
struct clamd_scan *clamd_version(struct clamd *c, uint64_t timeout_ms, clamd_fn *fn, void *arg);

/* What an answer (a line without its NUL, which is changed) means; for this folder and its tests. `sent_all`:
 * clamd had the whole file when it answered. `ret_detail` as for clamd_fn, in `answer` or a constant. */
enum clamd_question { CLAMD_ASKED_SCAN, CLAMD_ASKED_VERSION };
enum clamd_verdict clamd_judge(enum clamd_question question, bool sent_all, char *answer,
                               const char **ret_detail) _warn_unused_;
