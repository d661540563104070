/* The storage tree:
 *
 *     {root}/{session_id}/{job_id}/uploads/{uuid}.{ext}
 *         also while it still comes in pieces, and there is no job yet
 *     {root}/{session_id}/{job_id}/converted/{uuid}.{ext}
 *     {root}/{session_id}/{job_id}/preview/{uuid}-{size}.png
 *         pictures of the result of that name, for as long as the job has it
 *     {root}/{session_id}/{job_id}/work-{uuid}/
 *         one attempt's output folder; gone when the attempt ends
 *     {root}/exchange/, {root}/.exchange/
 *         files of other programs: exchange.h
 *     {root}/.incoming/
 *         where O_TMPFILE can't be had: uploads under random names
 *
 * Who may what: the root's mode says it. Below one that is 0700 everything belongs to one user, as when API
 * and worker are the same. Below one that is 02770 everything is the group's, whoever has made it: sessions
 * are 02770. Nobody else passes those; behind them job folders and uploads are open to others, since engines,
 * which are neither that user nor of that group, come in by the descriptor of a job's folder: they read its
 * upload and write into its work folder, where what they make is the group's. The modes are what is asked of
 * the kernel, so the umask has to be 0.
 *
 * Every path is built from ids here and nowhere else; "stored path" means such a path below the root.
 * Blocking calls, all short except storage_sweep_job and storage_remove_*, which callers on an event loop run
 * through uv_queue_work. */
#pragma once

#include "core/cleanup.h"
#include "core/id.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct storage;

/* Makes the root one that the caller's group shares, as above, with all that was kept there before: for the
 * owner of the root, which is made if it is missing. What is shared already costs a look at the root; what
 * isn't, one at each file, once. -EPERM when the root is somebody else's. */
int storage_share(const char *root) _warn_unused_;
/* Opens (and makes, 0700) the root. Removes what is left in .incoming from before. The storage may be used by
 * several threads. */
int storage_open(const char *root, struct storage **ret) _warn_unused_;
void storage_close(struct storage *s);
/* From now on as on a filesystem without O_TMPFILE; for tests of that way. */
void storage_use_incoming(struct storage *s);

/* Of uploads and results: below folders that strangers can't pass. */
enum { STORAGE_FILE_MODE = 0644 };

/* Longest stored path and its NUL. */
enum { STORAGE_PATH_MAX = 256 };

/* --- uploads: an unnamed file until it is committed; a broken upload leaves nothing */
struct storage_upload {
    int fd;                         /* open for reading and writing; -1 when not begun */
    char incoming[ID_UUID_LEN + 1]; /* "" with O_TMPFILE */
};
/* `expected`: the announced size, 0 when it is not known. -ENOSPC when less than `reserve` bytes would be
 * left after `expected` more. */
int storage_upload_begin(struct storage *s, uint64_t expected, uint64_t reserve,
                         struct storage_upload *ret) _warn_unused_;
/* -ENOSPC when less than `reserve` bytes are left: to be asked now and then while an upload is written, as
 * its size may not have been announced and others are written at the same time. */
int storage_keeps(struct storage *s, uint64_t reserve) _warn_unused_;
/* Begins one that is a copy of a stored file: its blocks, where the filesystem shares them, and never its
 * inode, as an engine takes no file with two names. To be called on a thread. -ENOENT: there is none of that
 * size; -ENOSPC as above, also on the way; -ECANCELED: `stop` (NULL: nobody does) was set before it was
 * whole. Nothing is begun then. */
int storage_upload_copy(struct storage *s, const char *path, uint64_t size, uint64_t reserve,
                        const atomic_bool *stop, struct storage_upload *ret) _warn_unused_;
/* Has all of it where other machines find it: to be called when it is written and before it is read, on a
 * thread, as it takes as long as a network takes. -ENOSPC, -EDQUOT or another -errno: it is not there. */
int storage_upload_send(const struct storage_upload *u) _warn_unused_;
/* Gives the file its name under uploads/ and fills `ret_path`. The upload is over, whatever is returned. */
int storage_upload_commit(struct storage *s, struct storage_upload *u, const char *session_id,
                          const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX]) _warn_unused_;
/* The same as the job's result, under converted/: for a copy of one. */
int storage_upload_commit_result(struct storage *s, struct storage_upload *u, const char *session_id,
                                 const char *job_id, const char *ext,
                                 char ret_path[STORAGE_PATH_MAX]) _warn_unused_;
void storage_upload_abort(struct storage *s, struct storage_upload *u);

/* --- uploads that come in pieces: a file that is where that of its job will be from the first byte on, so
 * that nothing has to be moved when the last one is there. storage_remove_job() gives it up. */
/* Makes an empty one and fills `ret_path`. -ENOSPC as storage_upload_begin(). */
int storage_partial_create(struct storage *s, uint64_t expected, uint64_t reserve, const char *session_id,
                           const char *job_id, const char *ext,
                           char ret_path[STORAGE_PATH_MAX]) _warn_unused_;
/* Opens it for reading and writing, for one at a time, whatever process or machine that is in: -EBUSY while
 * somebody else has it open so. Closing it lets the next one have it. */
int storage_partial_open(struct storage *s, const char *path) _warn_unused_;

/* --- for the worker */
/* Opens the job's folder (O_RDONLY|O_DIRECTORY) or -ENOENT. */
int storage_open_job(struct storage *s, const char *session_id, const char *job_id) _warn_unused_;
/* Makes a fresh work folder in the job's folder; `ret_name` receives its name ("work-…"). */
int storage_make_work(int job_fd, char ret_name[sizeof "work-" + ID_UUID_LEN]) _warn_unused_;
/* Moves `name` from the work folder to converted/{uuid}.{ext} and fills `ret_path`. -EINVAL when that is
 * anything but a regular file with no other name. */
int storage_publish(struct storage *s, int job_fd, const char *work, const char *name, const char *session_id,
                    const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX]) _warn_unused_;

/* The same for a picture of `result`, a stored path of that job, as preview/{uuid of the result}-{size}.png.
 * One that is there is replaced. */
int storage_publish_preview(int job_fd, const char *work, const char *name, const char *result,
                            unsigned size) _warn_unused_;

/* Removes from the job's folder what an attempt that was cut short has left: every work folder, and every
 * result, with its pictures, but the one at `keep` (a stored path; "" keeps none). To be called before an
 * attempt, by the holder of the claim. 0, or the first -errno after having removed what could be removed. */
int storage_sweep_job(int job_fd, const char *keep);

/* --- reading and removing; `path` is a stored path, checked to be one (-EINVAL). Removing what isn't there
 * is fine. */
int storage_open_file(struct storage *s, const char *path) _warn_unused_;
/* Is there such a file? False also when it can't be told. */
bool storage_has_file(struct storage *s, const char *path);
/* A result of that job and nothing else: -EINVAL for any other path. `ret_path` is made again from the ids in
 * it, so that nothing else can come into a header; that it lies below the root is known, as it was opened
 * there. */
int storage_open_result(struct storage *s, const char *session_id, const char *job_id, const char *path,
                        char ret_path[STORAGE_PATH_MAX]) _warn_unused_;
/* Its picture of that size, and where it is; -ENOENT when none has been made. */
int storage_open_preview(struct storage *s, const char *result, unsigned size,
                         char ret_path[STORAGE_PATH_MAX]) _warn_unused_;
/* What the name of a result says: no other has the same. False when `path` is no result's. */
bool storage_result_id(const char *path, char ret[ID_UUID_LEN + 1]);
int storage_remove_file(struct storage *s, const char *path);
int storage_remove_job(struct storage *s, const char *session_id, const char *job_id);
int storage_remove_session(struct storage *s, const char *session_id);

/* The descriptor of the root, which stays the storage's. */
int storage_root(const struct storage *s);
/* Uploads whose process died, where there is no O_TMPFILE. */
int storage_clean_incoming(struct storage *s);
/* Is this exactly a path that this file builds? */
bool storage_path_valid(const char *path);
/* Free bytes of the filesystem, or -errno. */
int storage_free_bytes(struct storage *s, uint64_t *ret) _warn_unused_;
