/* The archive engine: libarchive, which unpacks any archive and packs it again as another.
 *
 * The two halves know nothing of each other: entries.c hands on what is safe to have, pack.c writes it. What
 * was packed is copied bit by bit, so that the virus scanner has to see the result, too: it may look through
 * that one better. */
#include "engine/archive/archive.h"

#include "core/str.h"
#include "engine/archive/entries.h"
#include "engine/archive/pack.h"
#include "sandbox/policy_archive.h"

#include <archive.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <sys/resource.h>

#define ZIPS     "zip jar apk xpi vsix"
#define ARCHIVES ZIPS " tar tgz tbz2 txz tzst tlz4 tlz 7z rar cab iso cpio ar deb rpm xar lzh warc"
/* What people send documents in. */
#define CARRIERS "zip tar tgz tbz2 txz tzst tlz4 tlz 7z rar"
#define TARGETS  "zip tar tgz tbz2 txz tzst tlz4 7z cpio"
#define SINGLES  "gz bz2 xz zst lz4 lz"

enum { COST = 20, BLOCK = 64 << 10 };

/* Links, owners and rights are left behind; of a single file there is nothing to leave. */
static const struct engine_conversions conversions[] = {
    {ARCHIVES " " SINGLES, TARGETS, COST, 95, true, NULL},
    {TARGETS, TARGETS, COST, 95, true, NULL, .asked_by = ""},
    {SINGLES, "gz bz2 xz zst lz4", COST, 100, true, NULL},
    {0},
};

/* What LZMA takes for the higher levels is more memory than a job has. */
static const struct engine_option options[] = {
    {"level", "zip tgz tbz2 tzst tlz4 gz bz2 zst lz4", 1, 9, 6, "How hard to pack: 1 is fast, 9 small"},
    {"level", "txz 7z xz", 1, 7, 5, "How hard to pack: 1 is fast, 7 small"},
    {0},
};

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "%s", archive_version_string());
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    /* libarchive has names in the characters of the locale. */
    if (!setlocale(LC_CTYPE, "C.UTF-8")) { // NOLINT(concurrency-mt-unsafe): one thread
        *ret_why = "there is no locale C.UTF-8";
        return -ENOENT;
    }
    serve(arg);
    return -ECANCELED;
}

uint64_t archive_bytes_max(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                                   : UINT64_MAX;
}

static enum outcome copy(struct engine_job *job, struct entries *from, struct pack *to)
{
    static char data[BLOCK];
    enum outcome outcome;
    size_t n;

    do {
        outcome = entries_read(from, data, sizeof data, &n);
        if (outcome == OUTCOME_OK && n > 0)
            outcome = pack_write(to, data, n);
        engine_progress(job, entries_progress(from));
    } while (outcome == OUTCOME_OK && n > 0);
    return outcome;
}

static enum outcome copy_all(struct engine_job *job, struct entries *from, struct pack *to)
{
    const struct member *entry = NULL;
    enum outcome outcome;
    bool empty = true;

    while ((outcome = entries_next(from, &entry)) == OUTCOME_OK && entry) {
        empty = false;
        outcome = pack_add(to, entry);
        if (outcome == OUTCOME_OK && !entry->folder)
            outcome = copy(job, from, to);
        if (outcome != OUTCOME_OK)
            return outcome;
    }
    if (outcome == OUTCOME_OK && empty)
        outcome = OUTCOME_NO_OUTPUT;
    return outcome == OUTCOME_OK ? pack_finish(to) : outcome;
}

enum outcome archive_open_result(struct engine_job *job, struct pack **ret)
{
    char path[512];

    engine_name_result(job, job->to->id);
    if (snprintf(path, sizeof path, "%s/%s", job->output_path, job->output_name) >= (int)sizeof path)
        return OUTCOME_INTERNAL;
    /* It is packed into a file without a name first, which may be as large as the result: too large for /tmp,
     * which is memory. */
    if (str_eq(job->to->id, "7z") &&
        setenv("TMPDIR", job->output_path, 1) < 0) // NOLINT(concurrency-mt-unsafe)
        return OUTCOME_INTERNAL;
    return pack_open(path, job->to->id, engine_option_value(job, options, "level"), ret);
}

static enum outcome convert(struct engine_job *job)
{
    const struct entries_source source = {.path = job->input_path,
                                          .format = job->from->id,
                                          .password = engine_password(job),
                                          .bytes_max = archive_bytes_max()};
    struct entries *from = NULL;
    struct pack *to = NULL;
    enum outcome outcome = entries_open(&source, &from);

    if (outcome == OUTCOME_OK)
        outcome = archive_open_result(job, &to);
    if (outcome == OUTCOME_OK)
        outcome = copy_all(job, from, to);
    pack_free(to);
    entries_close(from);
    return outcome;
}

const struct engine engine_archive = {
    .name = "archive",
    .family = "archives",
    .policy = policy_archive,
    .conversions = conversions,
    .options = options,
    .protectable = "zip",
    .version = version,
    .warm = warm,
    .convert = convert,
    .gathers = TARGETS,
    .scatters = CARRIERS,
    .gather = archive_gather,
    .scatter = archive_scatter,
};
