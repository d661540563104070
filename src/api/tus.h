/* Resumable uploads by tus 1.0.0: what its endpoints (tus.c) and the work on the files (tus_pieces.c) share.
 *
 * An upload is announced with its length; from then on it has a file where that of its job will be, a record
 * in Redis (state/partial.h), and its room. What has come is what the file holds: nothing is counted beside
 * it that a crash could put out of step. Of bytes with a checksum the record says where they begin, so that
 * those that are not proved are cut off before anybody builds on them.
 *
 * One request at a time has the file: a lock on it (storage_partial_open) keeps others out, in whatever
 * process they are, and is gone with the process. A connection that died may hold it for long, so who wants
 * it says so on the id's channel: whoever is writing lets go at that, and what it has written stays.
 *
 * Whoever finds all bytes there and no job makes the job: the last PATCH, or after a crash or a lost answer a
 * HEAD. The job has the upload's id. */
#pragma once

#include "api/intake.h"
#include "api/tus_header.h"
#include "state/partial.h"

struct tus;

enum tus_what { TUS_CREATE, TUS_HEAD, TUS_SHOW, TUS_APPEND, TUS_REMOVE };

struct tus {
    struct intake in; /* job_id: the upload's id; size: what has come; file: open when the file is ours */
    enum tus_what what;
    char word[ID_UUID_LEN + 1]; /* what is told on the channel */
    const char *metadata;       /* as the client has sent it */
    uint64_t length, expires_ms, proved;

    uint64_t start; /* where the body begins, as its sender says */
    struct tus_checksum checksum;
    struct job_watch *watch;
    bool ended;   /* the request, answered or broken off */
    bool outdone; /* somebody else wants the file */
    bool writing; /* the body is read */
    bool whole;   /* it has been */
    int failed;   /* -errno of the disk; else why no more of it is taken: */
    enum api_error error;
    const char *detail; /* NULL: no reason */

    uv_timer_t timer;
    unsigned tries;
    uv_work_t work;
    int checked;
};

/* --- tus_pieces.c: each ends the call, by the answers below, or by failing it */
/* Looks for the upload of that id, and takes its file. */
void tus_find(struct tus *t, const char *id);
/* The request has ended: no more of its body will come. */
void tus_cut(struct tus *t);
/* Reads the body into the file, which is ours. */
void tus_append(struct tus *t);

/* --- tus.c: the answers, by what was asked */
/* So much has come. */
void tus_answer(struct tus *t);
/* It is the job `job`. */
void tus_answer_job(struct tus *t, json_t *job, uint64_t size);
/* All has come, and was refused. */
void tus_answer_refused(struct tus *t, enum api_error error, const char *detail);

/* Ends the call: 200 and JSON when nothing is left of the upload of that id, which whoever writes it has let
 * go of, or of the job that it has just become; 404 upload_not_found, also for an id of any other form. */
void tus_give_up(struct api_call *call, const char *id);

/* Sets what each answer under /files has to have. */
void tus_prepare(struct http_request *req);
