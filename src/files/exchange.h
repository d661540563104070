/* Files that other programs have converted by our workers: {root}/exchange/, which lies beside the sessions'
 * folders and is theirs. It is there only if the operator has made it; nothing else below the root can be
 * named.
 *
 *     {root}/exchange/…/report.docx                what the task names, by that path from the root
 *     {root}/exchange/…/report-{16 hex}.pdf        the result; the digits come from the task's id, so that
 * another run of the same task replaces its own result and no other {root}/.exchange/{32
 * hex}-{uuid}/input.docx  one attempt's copy: whoever writes in exchange/ while the file is scanned and
 * converted changes nothing of what was scanned
 *
 * Blocking calls, to be run through uv_queue_work. */
#pragma once

#include "files/storage.h"

#include <limits.h>
#include <sys/types.h>

enum { EXCHANGE_PATH_MAX = 1024, EXCHANGE_INPUT_MAX = 32, EXCHANGE_DIGEST_BYTES = 16 };

struct exchange_file {
    int job_fd;                     /* the attempt's folder; -1: none */
    char input[EXCHANGE_INPUT_MAX]; /* the copy in it */
    int input_fd;
    char result[EXCHANGE_PATH_MAX + 32]; /* path from the root, once it is published; else "" */
    /* its own */
    int folder; /* where the source lies */
    char name[NAME_MAX + 1], result_name[NAME_MAX + 1];
    char source[EXCHANGE_PATH_MAX];
    char attempt[80];
    dev_t device;
    ino_t inode;
    mode_t mode;
    unsigned char digest[EXCHANGE_DIGEST_BYTES]; /* of the task's id */
};

/* Copies the source, after having removed what earlier attempts of this task have left. 0 or -EINVAL: no path
 * below exchange/; -ENOENT; -ELOOP: a link on the way; -EMLINK: no regular file, or one with several names,
 * which may be somebody else's; -EFBIG: larger than `max_bytes`; other -errno. exchange_drop() in every case.
 */
int exchange_take(struct storage *s, const char *source, const char *task_id, const char *ext,
                  uint64_t max_bytes, struct exchange_file *ret) _warn_unused_;

/* Of a task that is not tried again. */
void exchange_sweep(struct storage *s, const char *task_id);

/* Copies `name` of the work folder beside the source, with the source's permission bits, and fills `result`.
 */
int exchange_publish(struct exchange_file *f, const char *work, const char *name,
                     const char *ext) _warn_unused_;
void exchange_remove_result(struct exchange_file *f);
/* If it is still the one that was copied. */
void exchange_remove_source(struct exchange_file *f);

/* The attempt's folder goes, and what `f` holds is closed. */
void exchange_drop(struct storage *s, struct exchange_file *f);
