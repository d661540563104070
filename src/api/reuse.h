/* The same input, the same answer at once: a conversion that a session has a result of already is answered
 * with a copy of that, and nothing is converted. Only within a session (or an account's space), whose own
 * files these are; nobody learns what others have.
 *
 * "The same" is a fingerprint over the files' hashes (and names, where many become one), the target, the
 * steps of the route with what the options come to (catalogue_effective), and what works on them: the release
 * of Decant, the engines' versions, and clamd's with its signatures. Where the workers differ about any of
 * that, or don't tell, nothing is reused, and so it is while the scanner is away. A conversion that was given
 * secrets has no fingerprint. A result serves for DECANT_RESULT_CACHE seconds from when it was begun: fonts
 * and data of languages may change without any version doing so.
 *
 * The copy is the job's own, as each can be deleted by itself; it counts as stored like any result. */
#pragma once

#include "api/api.h"
#include "engine/catalogue.h"
#include "state/result.h"

#include <stdatomic.h>

/* A part of who converts, in the request's memory, all of it zeroed. */
struct reuse {
    struct api_call *call;
    const char *job_id; /* of the one to be converted; lives as long as the request */
    char fingerprint[RESULT_FINGERPRINT_LEN + 1]; /* "" there is none: it is neither found nor noted */

    /* private */
    char version[128];     /* as a job has it of these engines; of many inputs it says too little */
    bool gathers, is_open; /* the one that was found is under way */
    const char *const *fields;
    void (*fn)(void *arg, int err);
    void *arg;
    const char *source, *path; /* the job that has the result, and where that is */
    uint64_t size;
    uv_work_t work;
    struct storage_upload file;
    char copy[STORAGE_PATH_MAX];
    int copied;
    atomic_bool ended;
};

/* Makes the fingerprint. `sources` (borrowed): an array with one of what tells it for each file, which begins
 * with its SHA-256; `options` without secrets. */
void reuse_identify(struct reuse *u, const struct catalogue_route *route, const json_t *options,
                    const json_t *sources);
/* Looks for a result and gives the job a copy. `fields` (name, value, …, NULL) is what becomes of the job
 * beside what the result brings, and stays as it is until `fn`, or reuse_stop(). err 0: the job has been
 * completed. -ENOENT: convert it. -EBUSY: it was started meanwhile. */
void reuse_try(struct reuse *u, const char *const fields[], void (*fn)(void *arg, int err), void *arg);
/* The job was enqueued: its result is the one to look for. */
void reuse_note(const struct reuse *u);
/* The client has left: what is being copied is stopped. `fn` comes all the same. */
void reuse_stop(struct reuse *u);
