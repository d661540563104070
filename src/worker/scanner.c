#include "worker/scanner.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"
#include "files/clamd_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    VERSION_TIMEOUT_MS = 10000, /* a busy machine is no scanner that is away */
    PROBE_TIMEOUT_MS = 30000,   /* for each file */
    EVERY_DOWN_MS = 1000,
    TRY_AGAIN_MS = 30000, /* what was unfit */
    TEXT_MAX = 320,
    SIGNATURE_MAX = 128,
    BLOCK = 64 << 10,
};

struct remembered {
    uint8_t digest[SHA256_DIGEST_SIZE];
    uint64_t until_ms; /* 0: nothing */
    enum clamd_verdict verdict;
    char signature[SIGNATURE_MAX];
};

struct scanner {
    uv_loop_t *loop;
    const struct settings *settings;
    struct clamd *clamd; /* NULL: off */
    bool watched;
    void (*changed)(void *arg);
    void *arg;
    scanner_measure_fn *measure;
    void *measure_arg;

    uv_timer_t timer;
    struct clamd_scan *asking;
    struct clamd_probe *probe;
    struct clamd_demands demands;
    enum scanner_state state;
    char version[TEXT_MAX]; /* that was tried, or is; "": none */
    unsigned lost;          /* clamd_lost() then */
    char detail[TEXT_MAX], remark[TEXT_MAX];
    uint64_t tried_ms;

    uint64_t epoch; /* what was learnt in another one is forgotten */
    struct remembered *ring;
    size_t next;
};

struct scanner_scan {
    struct scanner *scanner;
    int fd;  /* borrowed */
    int own; /* for the thread, which may outlive the caller's interest; -1: none */
    uint64_t timeout_ms, epoch;
    uint64_t asked_us; /* 0: clamd has not been asked */
    clamd_fn *fn;      /* NULL: cancelled */
    void *arg;
    struct clamd_scan *scan;
    uv_work_t work;
    atomic_bool cancelled;
    bool hashed;
    uint8_t digest[SHA256_DIGEST_SIZE];
};

const char *scanner_state_name(enum scanner_state state)
{
    static const char *const names[] = {
        [SCANNER_UNKNOWN] = "unknown", [SCANNER_OFF] = "off",     [SCANNER_UP] = "up",
        [SCANNER_DOWN] = "down",       [SCANNER_UNFIT] = "unfit",
    };

    return names[state];
}

/* --- what is remembered */

static void forget(struct scanner *s)
{
    s->epoch++;
    memset(s->ring, 0, SCANNER_REMEMBERED_MAX * sizeof *s->ring);
}

/* Who doesn't ask for the version can't know when to forget. */
static bool remembers(const struct scanner *s)
{
    return s->watched && s->settings->scan_cache_s > 0;
}

static const struct remembered *recall(const struct scanner *s, const uint8_t *digest)
{
    uint64_t now = clock_mono_ms();

    for (size_t i = 0; i < SCANNER_REMEMBERED_MAX; i++)
        if (s->ring[i].until_ms > now && memcmp(s->ring[i].digest, digest, SHA256_DIGEST_SIZE) == 0)
            return &s->ring[i];
    return NULL;
}

/* In place of the oldest one. */
static void remember(struct scanner *s, const uint8_t *digest, enum clamd_verdict verdict, const char *detail)
{
    struct remembered *m = &s->ring[s->next];

    s->next = (s->next + 1) % SCANNER_REMEMBERED_MAX;
    memcpy(m->digest, digest, sizeof m->digest);
    m->verdict = verdict;
    m->until_ms = clock_mono_ms() + s->settings->scan_cache_s * 1000;
    snprintf(m->signature, sizeof m->signature, "%s", detail);
}

/* --- one scan */

/* Has clamd been started again since it was tried? Then it may be set up otherwise. */
static bool is_another(const struct scanner *s)
{
    return s->watched && clamd_lost(s->clamd) != s->lost;
}

static void scan_free(struct scanner_scan *scan)
{
    cleanup_close(&scan->own);
    free(scan);
}

static void measure(const struct scanner_scan *scan, enum clamd_verdict verdict)
{
    const struct scanner *s = scan->scanner;
    bool asked = scan->asked_us > 0;

    if (s->measure)
        s->measure(s->measure_arg, verdict,
                   asked                          ? SCANNER_ASKED
                   : verdict == CLAMD_UNAVAILABLE ? SCANNER_NOT_ASKED
                                                  : SCANNER_REMEMBERED,
                   asked ? clock_mono_us() - scan->asked_us : 0);
}

static void conclude(struct scanner_scan *scan, enum clamd_verdict verdict, const char *detail)
{
    clamd_fn *fn = scan->fn;
    void *arg = scan->arg;
    char copy[TEXT_MAX];

    measure(scan, verdict);
    snprintf(copy, sizeof copy, "%s", detail);
    scan_free(scan);
    if (fn)
        fn(arg, verdict, copy);
}

static void on_timer(uv_timer_t *timer);

/* Somebody waits for it. */
static void hurry(struct scanner *s)
{
    if (uv_timer_get_due_in(&s->timer) > EVERY_DOWN_MS)
        uv_timer_start(&s->timer, on_timer, 0, 0);
}

static void on_verdict(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct scanner_scan *scan = arg;
    struct scanner *s = scan->scanner;

    if (verdict == CLAMD_CLEAN && is_another(s)) {
        hurry(s);
        conclude(scan, CLAMD_UNAVAILABLE, "the scanner was started again");
        return;
    }
    if (scan->hashed && scan->epoch == s->epoch && (verdict == CLAMD_CLEAN || verdict == CLAMD_INFECTED))
        remember(s, scan->digest, verdict, detail);
    conclude(scan, verdict, detail);
}

static const char *why_not(const struct scanner *s)
{
    if (s->state == SCANNER_UNFIT)
        return s->remark;
    return s->state == SCANNER_DOWN && s->detail[0] ? s->detail : "the scanner has not been tried yet";
}

static void proceed(struct scanner_scan *scan)
{
    struct scanner *s = scan->scanner;
    const struct remembered *m = scan->hashed && scan->epoch == s->epoch ? recall(s, scan->digest) : NULL;

    if (s->watched && (s->state != SCANNER_UP || is_another(s))) {
        hurry(s);
        conclude(scan, CLAMD_UNAVAILABLE, why_not(s));
    } else if (m) {
        conclude(scan, m->verdict, m->signature);
    } else {
        scan->asked_us = clock_mono_us();
        scan->scan = clamd_scan_start(s->clamd, scan->fd, scan->timeout_ms, on_verdict, scan);
        if (!scan->scan)
            conclude(scan, CLAMD_UNAVAILABLE, "out of memory");
    }
}

static void hash(uv_work_t *work)
{
    struct scanner_scan *scan = work->data;
    struct sha256_ctx sha256;
    uint8_t block[BLOCK];
    uint64_t at = 0;
    ssize_t n = -1;

    if (scan->own < 0)
        return;
    sha256_init(&sha256);
    while (!scan->cancelled && (n = path_read(scan->own, at, block, sizeof block)) > 0) {
        sha256_update(&sha256, (size_t)n, block);
        at += (uint64_t)n;
    }
    sha256_digest(&sha256, sizeof scan->digest, scan->digest);
    scan->hashed = n == 0;
}

static void on_hashed(uv_work_t *work, int status)
{
    struct scanner_scan *scan = work->data;

    if (scan->fn)
        proceed(scan);
    else
        scan_free(scan);
}

/* Nothing is decided yet when this returns: the way over the thread pool sees to it. */
struct scanner_scan *scanner_scan(struct scanner *s, int fd, uint64_t timeout_ms, clamd_fn *fn, void *arg)
{
    struct scanner_scan *scan = malloc(sizeof *scan);

    if (!scan)
        return NULL;
    *scan = (struct scanner_scan){.scanner = s,
                                  .fd = fd,
                                  .own = remembers(s) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1,
                                  .timeout_ms = timeout_ms,
                                  .epoch = s->epoch,
                                  .fn = fn,
                                  .arg = arg};
    scan->work.data = scan;
    if (uv_queue_work(s->loop, &scan->work, hash, on_hashed) == 0)
        return scan;
    scan_free(scan);
    return NULL;
}

void scanner_scan_cancel(struct scanner_scan *scan)
{
    if (scan->scan) {
        clamd_scan_cancel(scan->scan);
        scan_free(scan);
        return;
    }
    scan->fn = NULL;
    scan->cancelled = true;
}

/* --- how clamd is */

static void set_state(struct scanner *s, enum scanner_state state, const char *detail, const char *remark)
{
    bool news = s->state != state || !str_eq(s->detail, detail) || !str_eq(s->remark, remark);

    s->state = state;
    snprintf(s->detail, sizeof s->detail, "%s", detail);
    snprintf(s->remark, sizeof s->remark, "%s", remark);
    if (news && s->changed)
        s->changed(s->arg);
}

static void set_down(struct scanner *s, const char *why)
{
    s->version[0] = '\0';
    forget(s);
    set_state(s, SCANNER_DOWN, why, "");
}

static void on_tried(void *arg, enum clamd_fitness fitness, const char *text)
{
    struct scanner *s = arg;

    s->probe = NULL;
    s->tried_ms = clock_mono_ms();
    if (fitness == CLAMD_UNTRIED)
        set_down(s, text);
    else
        set_state(s, fitness == CLAMD_FIT ? SCANNER_UP : SCANNER_UNFIT, s->version, text);
}

static void try(struct scanner *s)
{
    forget(s);
    s->lost = clamd_lost(s->clamd);
    s->probe = clamd_probe_start(s->clamd, &s->demands, on_tried, s);
    if (!s->probe)
        set_down(s, "out of memory");
}

/* While fresh signatures are tried those before them are good enough. */
static void on_version(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct scanner *s = arg;

    s->asking = NULL;
    if (s->probe)
        return;
    if (verdict != CLAMD_CLEAN) {
        set_down(s, detail);
    } else if (is_another(s) || !str_eq(s->version, detail)) {
        if (is_another(s))
            s->state = SCANNER_UNKNOWN;
        snprintf(s->version, sizeof s->version, "%s", detail);
        if (s->state != SCANNER_UP)
            set_state(s, SCANNER_UNKNOWN, s->version, "");
        try(s);
    } else if (s->state == SCANNER_UNFIT && clock_mono_ms() - s->tried_ms >= TRY_AGAIN_MS) {
        try(s);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct scanner *s = timer->data;

    if (!s->asking && !s->probe)
        s->asking = clamd_version(s->clamd, VERSION_TIMEOUT_MS, on_version, s);
    uv_timer_start(timer, on_timer, s->state == SCANNER_DOWN ? EVERY_DOWN_MS : SCANNER_EVERY_MS, 0);
}

void scanner_watch(struct scanner *s, void (*changed)(void *arg), void *arg)
{
    s->changed = changed;
    s->arg = arg;
    if (!s->clamd || s->watched)
        return;
    s->watched = true;
    uv_timer_start(&s->timer, on_timer, 0, 0);
}

void scanner_measure(struct scanner *s, scanner_measure_fn *fn, void *arg)
{
    s->measure = fn;
    s->measure_arg = arg;
}

/* With a real database clamd's version is "ClamAV 1.4.3/27450/Fri …"; the numbers come from the signatures'
 * own header, which a plain test database does not have. */
void scanner_info(const struct scanner *s, struct scanner_info *ret)
{
    *ret = (struct scanner_info){.state = s->state,
                                 .detail = s->detail,
                                 .remark = s->remark,
                                 .test_signatures = s->version[0] && !strchr(s->version, '/')};
}

/* --- */

int scanner_new(uv_loop_t *loop, const struct settings *settings, struct scanner **ret)
{
    bool off = str_eq(settings->clamd, "off");
    struct scanner *s = calloc(1, sizeof *s);
    struct remembered *ring = calloc(SCANNER_REMEMBERED_MAX, sizeof *ring);
    struct clamd *clamd = off ? NULL : clamd_new(loop, settings->clamd, CLAMD_CONNECTIONS);

    if (!s || !ring || (!off && !clamd)) {
        free(s);
        free(ring);
        clamd_free(clamd);
        return -ENOMEM;
    }
    s->loop = loop;
    s->settings = settings;
    s->clamd = clamd;
    s->state = off ? SCANNER_OFF : SCANNER_UNKNOWN;
    s->ring = ring;
    s->demands = (struct clamd_demands){.file_bytes = settings->max_upload_bytes,
                                        .refuse_encrypted = str_eq(settings->scan_encrypted, "refuse"),
                                        .timeout_ms = PROBE_TIMEOUT_MS};
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    *ret = s;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct scanner *s = handle->data;

    free(s->ring);
    free(s);
}

void scanner_free(struct scanner *s)
{
    if (!s)
        return;
    if (s->asking)
        clamd_scan_cancel(s->asking);
    if (s->probe)
        clamd_probe_cancel(s->probe);
    clamd_free(s->clamd);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
