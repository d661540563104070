/* From the zygote into the sandbox: what sandbox.c and its probe share. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/policy.h"
#include "sandbox/sandbox.h"

struct sandbox {
    struct sandbox_config config;
    struct policy policy, tool_policy;
    struct cgroups *cgroups; /* NULL: none */
    const char *cgroup_why;
    int landlock_abi;
    int *tid_address; /* glibc's record of the thread's id */
    uid_t uid, gid;
};

/* The steps of a child, in order; each is a thing that a host may not permit. */
enum enter_step {
    ENTER_CLONE,
    ENTER_CGROUP,
    ENTER_PROCESS,
    ENTER_MAPS,
    ENTER_JOB,
    ENTER_MOUNTS,
    ENTER_TOOLS,
    ENTER_CAPABILITIES,
    ENTER_LIMITS,
    ENTER_LANDLOCK,
    ENTER_SECCOMP,
    ENTER_STEPS_,
};

/* fork(2) into fresh namespaces (but for the mount namespace, which enter_child makes) and a cgroup: 0 in the
 * child, 1 in the parent, or -errno; -ESTALE as sandbox_spawn says. In both `ret` tells the cgroup. */
int enter_clone(const struct sandbox *s, struct sandbox_child *ret) _warn_unused_;

/* In the child, what can be done before its job is known. Changes the number of `keep_fd`, the one descriptor
 * that stays open. On failure -errno, and which step it was. */
int enter_waiting(const struct sandbox *s, int cgroup, int *keep_fd, enum enter_step *ret_step) _warn_unused_;

/* Then: puts every other layer in force. `job` without an input (a probe) has keep_fd alone. */
int enter_child(struct sandbox *s, struct sandbox_job *job, enum enter_step *ret_step) _warn_unused_;
