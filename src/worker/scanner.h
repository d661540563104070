/* The virus scanner as conversions use it: clamd's verdicts, from a clamd that was tried, remembered for
 * minutes.
 *
 * Watched (in a worker), clamd is asked for its version every few seconds. At first, after each time that it
 * was away, and when its signatures have changed, it is tried (files/clamd_probe.h), and until it has been
 * found fit there are no verdicts. Not to exit then is on purpose: jobs wait for a scanner that is away, and
 * one that is set up wrongly is put right while we run.
 *
 * A verdict (clean, or infected by what) is remembered for DECANT_SCAN_CACHE seconds, for the SHA-256 of the
 * bytes, as long as clamd stays and its version, which names the signatures, is the same. The hash is
 * computed here, of the open file that would be scanned: not the job's, which is the API's word. An API that
 * was taken over could lend an infected file the hash of a clean one. They are kept in the worker's own
 * memory: in Redis, whoever reaches it could turn infected into clean. What is done to a file after it was
 * hashed is no other than what is done to it after it was scanned: nobody but the API and the worker may
 * write in the storage tree. */
#pragma once

#include "core/settings.h"
#include "files/clamd.h"

#include <stdbool.h>
#include <uv.h>

enum { SCANNER_EVERY_MS = 5000, SCANNER_REMEMBERED_MAX = 1024 };

enum scanner_state {
    SCANNER_UNKNOWN, /* not heard of yet, or not tried yet */
    SCANNER_OFF,
    SCANNER_UP,
    SCANNER_DOWN,
    SCANNER_UNFIT, /* its OK would mean nothing */
};
const char *scanner_state_name(enum scanner_state state);

struct scanner_info {
    enum scanner_state state;
    const char *detail; /* clamd's version, or why it is down */
    const char *remark; /* what should be set otherwise in it, or "" */
    bool test_signatures;
};

struct scanner;
struct scanner_scan;

/* `settings` is borrowed. */
int scanner_new(uv_loop_t *loop, const struct settings *settings, struct scanner **ret) _warn_unused_;
/* After its last scan; NULL is fine. The loop must turn once more. */
void scanner_free(struct scanner *s);

/* `changed` is called when what scanner_info() tells has changed; NULL: no longer. */
void scanner_watch(struct scanner *s, void (*changed)(void *arg), void *arg);
void scanner_info(const struct scanner *s, struct scanner_info *ret);

enum scanner_origin { SCANNER_ASKED, SCANNER_REMEMBERED, SCANNER_NOT_ASKED /* as it can't be, now */ };
/* Told of each verdict, and how many microseconds clamd took where it was asked. NULL: no longer. */
typedef void scanner_measure_fn(void *arg, enum clamd_verdict verdict, enum scanner_origin origin,
                                uint64_t us);
void scanner_measure(struct scanner *s, scanner_measure_fn *fn, void *arg);

/* As clamd_scan_start() and clamd_scan_cancel(). A scanner that is not watched is taken as it is. */
struct scanner_scan *scanner_scan(struct scanner *s, int fd, uint64_t timeout_ms, clamd_fn *fn, void *arg);
void scanner_scan_cancel(struct scanner_scan *scan);
