/* The files that a cgroup is made of: what cgroup.c, cgroup_place.c and cgroup_probe.c share. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The one below a place of v2 that has its maker and what that has started. */
#define CGROUP_SELF "self"

/* 0, or -errno; -ENOENT where the kernel has no such file. */
int cgroup_write(int dir, const char *file, const char *text) _warn_unused_;
int cgroup_write_u64(int dir, const char *file, uint64_t value) _warn_unused_;
/* As much as fits, without the last line's end. */
int cgroup_read(int dir, const char *file, char *ret, size_t size) _warn_unused_;
bool cgroup_has(int dir, const char *file);
/* This process becomes a member. */
int cgroup_enter(int dir) _warn_unused_;

/* Until the second one, files are reached as the owner of `dir` reaches them: root without its capabilities
 * (cli/supervisor.h, the worker's unit) isn't let into what it has given away. What was begun last counts. */
void cgroup_begin_as_owner(int dir);
void cgroup_end_as_owner(void);

/* Kills all members; what they leave behind is somebody else's to reap. True when there was one. */
bool cgroup_kill(int dir);
/* Kills all members of cgroup `name` of `parent`, and removes it when the last has gone; waits for that for a
 * second. A missing one is fine. */
int cgroup_remove(int parent, const char *name);
/* Removes each cgroup of `parent` that is named `prefix`, a pid and maybe ".number", and whose maker is gone:
 * nobody has that pid, and nobody holds its lock. With what is below it; but for CGROUP_SELF, whose members
 * are about to end by themselves and must not be cut off (a Redis that writes its file). */
void cgroup_clear_stale(int parent, const char *prefix);

/* A descriptor of the folder. It is 0755 whatever the umask: who clears it up may be somebody else. */
int cgroup_make(int parent, const char *name) _warn_unused_;
/* Holds it for cgroup_clear_stale to see, as long as the descriptor is open. */
int cgroup_lock(int dir) _warn_unused_;
