/* Giving root away at the start of a program, before it reads anything that others can write. */
#pragma once

#include "core/cleanup.h"

#include <sys/types.h>

struct privilege_ids {
    uid_t uid;
    gid_t gid;
};

/* The ids of `user`, or -errno after having printed to standard error what to do about it, with `setting` as
 * the name of what is wrong: -ENOENT when there is no such user, -EINVAL when it is root. */
int privilege_find(const char *setting, const char *user, struct privilege_ids *ret) _warn_unused_;

/* Whether `user`, of these ids, has nothing of `others` that kernel and files would know them both by: user
 * and group. Prints, with `setting`, what to do when it has: -EINVAL. */
int privilege_stranger(const char *setting, const char *user, const struct privilege_ids *ids,
                       const struct privilege_ids *others) _warn_unused_;

/* From root to `ids` for good: no supplementary groups; real, effective and saved ids. What the process gets
 * at its parent's death (PR_SET_PDEATHSIG), which the kernel forgets then, stays. 0, or -errno: the process
 * must not go on. */
int privilege_become(const struct privilege_ids *ids) _warn_unused_;

/* Started as root: finds `user`, DECANT_USER, and becomes it. Started as anybody else: does nothing. 0, or
 * -errno after having printed the reason. */
int privilege_drop(const char *user) _warn_unused_;
/* The same for `user`, which `setting` names, in the group of `worker`, DECANT_USER: what they share, such as
 * the storage and Redis' socket, is the group's. */
int privilege_drop_beside(const char *worker, const char *setting, const char *user) _warn_unused_;

/* The ids of `user`, or of "nobody" when there is no such user. -ENOENT when there is neither. */
int privilege_lookup(const char *user, uid_t *ret_uid, gid_t *ret_gid) _warn_unused_;

/* Root without its rights: of all capabilities the process, and whatever it starts, can have no other than
 * these (ended by -1), and no program that it executes gains any. */
int privilege_keep(const int *capabilities) _warn_unused_;

/* From here on files are reached as `ids` would reach them, and back: for root that has kept CAP_SETUID and
 * CAP_SETGID alone, and so can't pass everywhere. Of the calling thread. */
void privilege_borrow(const struct privilege_ids *ids);
void privilege_return(void);

/* No core files of this process and what it starts: passwords pass through them. 0, or -errno. */
int privilege_forbid_core(void) _warn_unused_;
