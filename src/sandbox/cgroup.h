/* A cgroup for each job: the kernel counts what the job takes, whatever it makes or opens, and bounds it:
 * memory of every kind (temporary files and the kernel's own on its behalf too), threads and processes, its
 * share of the processors. Both versions of the interface; docs/sandbox.md says what they need.
 *
 * Two sides. The place is made by the program that starts engines, while it still may: a cgroup that the
 * engines' user owns. It travels as text in DECANT_CGROUP. In it each zygote keeps the cgroups of its
 * children, one for each that is alive. They are used again: removing one keeps what it is accounted for
 * alive until the last page of a result has left the page cache, and a server would gather thousands of
 * those. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* --- the place */

struct cgroup_place;

/* `setting` is DECANT_CGROUP: "auto" makes a place for `user`, whom root runs engines as, and clears those
 * whose makers were killed; "off"; else the folders of one that somebody else made, which is taken as it is.
 * On failure -errno and a static sentence; -ECANCELED for "off". A process moves itself into the place on v2,
 * and has to be single then. */
int cgroup_place_make(const char *setting, const char *user, struct cgroup_place **ret,
                      const char **ret_why) _warn_unused_;
/* What engines are told by settings->cgroup: folders separated by colons, one of v2 or several of v1; "off"
 * for NULL. */
const char *cgroup_place_folders(const struct cgroup_place *p);
/* Removes it with all that engines left in it, killing what runs there; a place of somebody else loses only
 * the latter. NULL is fine. */
void cgroup_place_free(struct cgroup_place *p);

/* --- the cgroups of a zygote's children */

struct cgroups;

struct cgroup_limits {
    uint64_t memory_bytes, tasks;
};

/* `folders` as the place says. -ENOTSUP when memory and tasks can't both be bounded there. */
int cgroups_open(const char *folders, const struct cgroup_limits *limits, struct cgroups **ret) _warn_unused_;
void cgroups_free(struct cgroups *c); /* and removes them; NULL is fine */

/* Proves by a child that takes too much that bounds hold there. On failure -errno and a static sentence. Not
 * while the caller has other cgroups open there. */
int cgroups_probe(const char *folders, const char **ret_why) _warn_unused_;

/* One that nobody is in: its number, or -errno. */
int cgroups_take(struct cgroups *c) _warn_unused_;
/* On v2, where a child of it is born: a descriptor for cgroup_clone_into. On v1 -1, and it is cgroups_join
 * that makes the process which calls it a member. */
int cgroups_birthplace(const struct cgroups *c, int number, int *ret_fd) _warn_unused_;
int cgroups_join(const struct cgroups *c, int number) _warn_unused_;
/* As clone(2) with these flags: 0 in the child, its pid, or -errno. */
pid_t cgroup_clone_into(int birthplace, uint64_t flags, int *tid, int *ret_pidfd) _warn_unused_;
/* After the child's end: kills what is left. True when the kernel ended it, or part of it, for want of
 * memory. */
bool cgroups_give_back(struct cgroups *c, int number);
