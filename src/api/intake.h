/* A new file of a session, from when it is begun to the job that it becomes: what POST /upload, POST
 * /duplicate and uploads in pieces (tus.h) have in common. A part of theirs, in the request's memory. */
#pragma once

#include "api/api.h"
#include "core/clock.h"
#include "format/filename.h"

#include <nettle/sha2.h>

struct intake {
    struct api *api;
    struct api_call *call;             /* NULL once the call has been answered */
    const struct client_names *client; /* who has taken a slot; lives as long as the request */
    bool has_slot;
    bool sent; /* by a client: counted as an upload */
    struct storage_upload file;
    uint64_t reserve_due; /* size at which to look after the disk's reserve */
    uint64_t
        keep_s; /* for how long its job is kept if nobody says otherwise (job_kept.h); 0: as others are */

    /* known when it is stored */
    const struct format *format;
    uint64_t size; /* of what is there */
    char filename[FILENAME_MAX_BYTES + 1];
    char hash[2 * SHA256_DIGEST_SIZE + 1], mime[SNIFF_MIME_MAX];

    char job_id[ID_UUID_LEN + 1], stored_path[STORAGE_PATH_MAX], created_at[CLOCK_RFC3339_LEN + 1];
};

void intake_begin(struct intake *in, struct api_call *call, bool sent);
/* One of the slots of uploads, for the client. False: the call has been failed. */
bool intake_take_slot(struct intake *in);
/* What it holds of the server's. It has to be given back before the answer leaves: who sends one file after
 * the other would else meet its own limit. But a client that leaves while its file is worked on gives nothing
 * back before that has ended: it could have any number of files in the making, and of checks waiting. */
void intake_let_go(struct intake *in);
/* Writes what comes next of it, behind the `size` bytes that are there. 0 or -errno, for intake_fail_disk().
 */
int intake_write(struct intake *in, const void *data, size_t len);
/* Where it has to be, and what it says? To be called on a thread, as both may take long. 0, or an error as of
 * sniff_check(). */
int intake_check(struct intake *in);
/* Of all its bytes. */
void intake_set_hash(struct intake *in, struct sha256_ctx *sha256);
/* The file has been written, and is known: its name on disk, its job, and the answer. */
void intake_store(struct intake *in);
/* The same for one that has come in pieces, and has its name: whatever `fn` is told, it answers. */
void intake_store_arrived(struct intake *in, job_fn *fn, void *arg);
/* What is answered about a file that has become a job. */
json_t *intake_describe(const struct job *job);
json_t *intake_describe_new(const struct intake *in);

/* How much there may be of it and the others. */
struct job_quota intake_quota(const struct intake *in);

/* --- the call's end without a job */
void intake_fail(struct intake *in, enum api_error error, const char *detail);
/* What the disk has said: -errno. */
void intake_fail_disk(struct intake *in, int r);
/* What job_create() has said. */
void intake_fail_job(struct intake *in, int err);
/* Nobody waits for an answer any more. */
void intake_abandon(struct intake *in);
