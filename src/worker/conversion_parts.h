/* What the files of a conversion share: conversion.c (its states, on the loop), conversion_each.c (the files
 * of which one is made) and conversion_result.c (the judgement on a result and its way out, on one of libuv's
 * threads). Nobody else includes it. */
#pragma once

#include "worker/conversion.h"

#include "core/id.h"

#include <sys/stat.h>
#include <uv.h>

enum {
    CONVERSION_DETAIL_MAX = 160,
    CONVERSION_NAME_MAX = 64,
    CONVERSION_WORK_MAX = sizeof "work-" + ID_UUID_LEN
};

enum state {
    SCANNING,
    WAITING, /* to scan again */
    CONVERTING,
    EACH,     /* of many files, one after the other */
    CHECKING, /* what a step has made for the next one, on a thread */
    FINISHING,
    LEAVING
};

struct conversion {
    struct conversion_shared *shared;
    struct conversion_events events;
    void *arg;

    int job_fd;
    char *input, *options;
    const struct catalogue_route *route;
    size_t step;      /* of the route: the one under way */
    char *step_input; /* below the job's folder: the upload, or what the step before has made */

    enum state state;
    bool cancelled, scanned_before;
    uint64_t started_ms, most_ms;
    uv_timer_t timer; /* starts the first scan, and each further one */
    uint64_t scan_deadline_ms, scan_ms, retry_ms;
    uint64_t content; /* of the step's input, for deadlines */
    int upload_fd;    /* until it is scanned and measured */
    struct scanner_scan *scan;
    struct engine_run *run;
    unsigned percent;
    struct each *each; /* NULL: it is about one file */

    /* the finish, on a thread of its own while `state` is FINISHING */
    uv_work_t work;
    char work_name[CONVERSION_WORK_MAX];
    char earlier_name[CONVERSION_WORK_MAX]; /* of the step before; "": there was none */
    char copy_name[CONVERSION_WORK_MAX];    /* "": the process was gone before */
    bool early, reported;                   /* the process was not; done() was called */
    char output_name[CONVERSION_NAME_MAX];
    int result_fd;     /* the result, or its copy, once it has been found good */
    bool scans_result; /* that is to be scanned before it is handed over */
    char detail[CONVERSION_DETAIL_MAX], version[CONVERSION_DETAIL_MAX];
    struct font_list fonts;
    struct conversion_report report;
};

/* Keeps as much of `detail` (NULL: nothing) as fits. */
void conversion_set_detail(struct conversion *c, const char *detail);
/* What the disk, or the server that it is, has said to us: -errno. */
void conversion_note_error(struct conversion *c, int r);

/* --- conversion.c */

/* Percent of the whole; only more than before is told. */
void conversion_tell_progress(struct conversion *c, unsigned percent);
/* What a conversion within this one has taken. */
void conversion_add_report(struct conversion *c, const struct conversion_report *report);
/* Of each file, `content` bytes in all, there is what was wanted, in `folder`: the next step may begin.
 * Another outcome than OUTCOME_OK is the conversion's. */
void conversion_each_done(struct conversion *c, enum outcome outcome, const char *folder, uint64_t content);

/* --- conversion_each.c: on the loop, but each_remove() */

/* The files of the request, or those that a step will have taken apart. NULL when memory is out. */
struct each *each_new(struct conversion *c, const struct conversion_request *request) _warn_unused_;
/* `scattered`: the work folder that such a step has filled; it is the other's from now on. */
void each_start(struct each *e, const char *scattered);
void each_cancel(struct each *e);
/* Its folders; on any thread. */
void each_remove(struct each *e);
void each_free(struct each *e); /* NULL is fine */
/* The uv_work_cb after a step that has taken apart what nobody will gather. Sets report.outcome. */
void conversion_pick_work(uv_work_t *work);

/* --- conversion_result.c */

/* A regular file with one name, open for reading; -errno, -EMLINK when it is none. */
int conversion_open_regular(int job_fd, const char *path, struct stat *ret) _warn_unused_;
/* All `size` bytes of a file as `name`, which is new, in a folder. */
int conversion_copy(int from, int folder, const char *name, off_t size) _warn_unused_;
/* Is `name` in the work folder small enough to be copied rather than waited for? */
bool conversion_is_small(const struct conversion *c, const char *name);
/* The uv_work_cb between two steps: judges what the first has made, and makes it the input of the next. Sets
 * report.outcome. */
void conversion_step_work(uv_work_t *work);
/* `name` in the work folder, of these bytes, is the input of the next step. */
enum outcome conversion_next_step(struct conversion *c, const char *name, uint64_t content);
/* The uv_work_cb of a route without steps: what came is what there will be. */
void conversion_keep_work(uv_work_t *work);
/* The uv_work_cb of the finish: judges the result and hands it over, or, where it is to be scanned first,
 * leaves it open in `result_fd`. Afterwards report.outcome holds. */
void conversion_finish_work(uv_work_t *work);
void conversion_remove_work(struct conversion *c);
void conversion_close(int *fd);
