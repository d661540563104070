/* Which cgroups this process is in, as folders. */
#pragma once

#include "core/cleanup.h"

#include <limits.h>

enum cgroup_v1_hierarchy { CGROUP_V1_MEMORY, CGROUP_V1_PIDS, CGROUP_V1_CPU, CGROUP_V1_HIERARCHIES };

struct cgroup_mounts {
    char v1[CGROUP_V1_HIERARCHIES][PATH_MAX]; /* "": not there */
    char v2[PATH_MAX], v2_mount[PATH_MAX];
};

int cgroup_mounts_find(struct cgroup_mounts *ret) _warn_unused_;
/* The same from the text of /proc/self/mountinfo and /proc/self/cgroup. */
int cgroup_mounts_parse(FILE *mountinfo, FILE *cgroup, struct cgroup_mounts *ret) _warn_unused_;
