/* One conversion, from a file in a job's folder to a verified result: scan, convert, check, hand over. It
 * knows no queue and no Redis: the worker's runner and `decant convert` both stand on it.
 *
 *     scan (clamd; again with a back-off while there is no verdict) → convert (an engine's sandboxed child;
 *          where the route has a second step, what the first has made is verified and goes to a child of that
 *          engine) → finish (verify the result; scan it too where the engine copies embedded files into it;
 * hand it over, remove the work folder)
 *
 * Where the route makes one of many files, each of them goes through all of that by itself
 * (conversion_each.c), and what they have become is gathered by the next step. Where one is taken apart and
 * nothing gathers, the first file in it that the next step takes goes on alone.
 *
 * Nothing is converted without a verdict, unless settings.clamd is "off". The result is believed in nothing:
 * it is opened without following links, has to be a regular file with one name and of an allowed size, and
 * its bytes have to be of the format that was asked for. Where its process may still live that is said of a
 * copy, which is what is handed over. Infected bytes are gone from disk before anybody is told of them: the
 * upload, and a result in which they were found. A file that waits for its verdict keeps its place among
 * those that run: who passes it would wait for the same scanner. */
#pragma once

#include "core/outcome.h"
#include "core/settings.h"
#include "engine/catalogue.h"
#include "engine/client.h"
#include "files/sniff.h"
#include "worker/scanner.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* What all conversions of a process share. */
struct conversion_shared {
    uv_loop_t *loop;
    const struct settings *settings;
    struct engine_pool *engines;
    struct scanner *scanner;
    struct sniffer *sniffer;
    atomic_ullong full_ms; /* when the disk was seen full, as of clock_mono_ms(); 0: never */
};
int conversion_shared_init(struct conversion_shared *s, uv_loop_t *loop, const struct settings *settings,
                           struct engine_pool *engines) _warn_unused_;
void conversion_shared_done(struct conversion_shared *s);
/* sniff_check() for any thread: 0 when `fd` is a `format`, else -errno. */
int conversion_sniff(struct conversion_shared *s, int fd, const struct format *format) _warn_unused_;

/* A file that becomes one with others. */
struct conversion_input {
    int dir_fd;       /* the folder of the job that it was uploaded for; borrowed until `done` */
    const char *path; /* below that, as "uploads/….docx" */
    const char *name; /* for people; NULL: none is known */
    const struct format *format;
};

struct conversion_request {
    int job_fd;        /* the job's folder; borrowed until `done`; files/storage.h: who comes in by it */
    const char *input; /* below the job's folder, as "uploads/….docx"; with `inputs` not looked at */
    /* Of a route that gathers (catalogue_find_many): what is to become one, in its order. */
    const struct conversion_input *inputs;
    size_t n_inputs;
    const struct catalogue_route *route;
    const char *options; /* JSON object; with the document's password, if there is one */
    bool scanned;        /* it was, or we have made it: nobody is asked again */
    uint64_t most_ms;    /* for each step, where that is less than what it would get; 0: no such limit */
};

/* The result while it is still in the work folder. */
struct conversion_output {
    int fd; /* open for reading, at its start */
    const char *work, *name;
    const struct format *format;
    uint64_t size;
};

enum { CONVERSION_FAILED_NAME_MAX = 256 };

struct conversion_report {
    enum outcome outcome;
    const char *detail;          /* the signature; why no verdict, engine or result could be had; else "" */
    bool scanned;                /* false: scanning is off */
    const struct format *format; /* of the result; NULL without one */
    uint64_t size;
    uint64_t pages, cpu_ms, peak_kib, pss_kib, wall_ms; /* wall_ms: the engine's time alone */
    uint64_t deadline_ms; /* what wall_ms was bounded by; 0: it came to no engine */
    /* Of all steps, "office+pdf", and their libraries, "" when none ran. Of two steps the times above are the
     * sum, memory is the most, and layers are those of both. */
    const char *engine, *engine_version;
    const char *last_engine; /* the one whose step was the last to be under way */
    unsigned layers;
    const struct font_list *fonts; /* of the step that laid the document out; NULL: none did */
    bool transient;                /* no fault of the file, and another time it may be otherwise */
    bool forbidden_call;           /* the engine's process was ended by seccomp */
    int publish_error;             /* what publish() returned */
    /* Of many: which it failed by, and the name of that one (in an archive, too); "": by none of them. */
    size_t failed_input;
    const char *failed_name; /* shorter than CONVERSION_FAILED_NAME_MAX */
};

enum conversion_stage { CONVERSION_SCANNING, CONVERSION_CONVERTING };

struct conversion_events {
    void (*stage)(void *arg, enum conversion_stage stage);
    void (*progress)(void *arg, unsigned percent); /* rises, below 100 */
    /* Takes the verified result out of the work folder: 0 or -errno (then the outcome is internal). Runs on
     * one of libuv's threads: it touches only what belongs to this job. */
    int (*publish)(void *arg, const struct conversion_output *output);
    /* Once, last; never before conversion_start has returned. The conversion is over and freed after it;
     * nothing of it is left in the job's folder but the upload and what publish() made. The report's strings
     * live during the call. */
    void (*done)(void *arg, const struct conversion_report *report);
    /* For who can do with a result before the process that made it is gone, which takes milliseconds; NULL:
     * `done` waits for that. Once, after `done`, which is then not the last: the conversion lives until here,
     * and so may its process and its work folders, which neither see nor reach what was published. */
    void (*gone)(void *arg);
};

struct conversion;

/* NULL when memory is out; then `done` never comes. */
struct conversion *conversion_start(struct conversion_shared *shared,
                                    const struct conversion_request *request,
                                    const struct conversion_events *events, void *arg) _warn_unused_;

/* Ends it soon: `done` comes with OUTCOME_CANCELLED. A conversion that is being published already ends as it
 * would have. */
void conversion_cancel(struct conversion *c);
