/* What the files of a conversion share: conversion.c (its states, on the loop) and conversion_result.c (the
 * judgement on a result and its way out, on one of libuv's threads). Nobody else includes it. */
#pragma once

#include "worker/conversion.h"

#include "core/id.h"

#include <sys/stat.h>
#include <uv.h>

enum { CONVERSION_DETAIL_MAX = 160, CONVERSION_NAME_MAX = 64 };

enum state {
    SCANNING,
    WAITING, /* to scan again */
    CONVERTING,
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
    bool cancelled;
    uint64_t started_ms;
    uv_timer_t timer; /* starts the first scan, and each further one */
    uint64_t scan_deadline_ms, scan_ms, retry_ms;
    uint64_t content; /* of the step's input, for deadlines */
    int upload_fd;    /* until it is scanned and measured */
    struct scanner_scan *scan;
    struct engine_run *run;
    unsigned percent;

    /* the finish, on a thread of its own while `state` is FINISHING */
    uv_work_t work;
    char work_name[sizeof "work-" + ID_UUID_LEN];
    char earlier_name[sizeof "work-" + ID_UUID_LEN]; /* of the step before; "": there was none */
    char copy_name[sizeof "work-" + ID_UUID_LEN];    /* "": the process was gone before */
    bool early, reported;                            /* the process was not; done() was called */
    char output_name[CONVERSION_NAME_MAX];
    int result_fd;     /* the result, or its copy, once it has been found good */
    bool scans_result; /* that is to be scanned before it is handed over */
    char detail[CONVERSION_DETAIL_MAX], version[CONVERSION_DETAIL_MAX];
    struct conversion_report report;
};

/* Keeps as much of `detail` (NULL: nothing) as fits. */
void conversion_set_detail(struct conversion *c, const char *detail);
/* What the disk, or the server that it is, has said to us: -errno. */
void conversion_note_error(struct conversion *c, int r);

/* --- conversion_result.c */

/* A regular file with one name, open for reading; -errno, -EMLINK when it is none. */
int conversion_open_regular(int job_fd, const char *path, struct stat *ret) _warn_unused_;
/* Is `name` in the work folder small enough to be copied rather than waited for? */
bool conversion_is_small(const struct conversion *c, const char *name);
/* The uv_work_cb between two steps: judges what the first has made, and makes it the input of the next. Sets
 * report.outcome. */
void conversion_step_work(uv_work_t *work);
/* The uv_work_cb of the finish: judges the result and hands it over, or, where it is to be scanned first,
 * leaves it open in `result_fd`. Afterwards report.outcome holds. */
void conversion_finish_work(uv_work_t *work);
void conversion_remove_work(struct conversion *c);
void conversion_close(int *fd);
