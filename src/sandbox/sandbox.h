/* The sandbox of one job: a fresh process cloned from a warm zygote, which sees its input, its output folder,
 * the libraries and fonts of its engine, and nothing else. docs/sandbox.md explains the layers and their
 * order.
 *
 * The zygote is single-threaded and has no privilege. sandbox_prepare() runs once in it: it compiles the
 * seccomp policy and proves that every required layer can be had, by a real attempt. Each job has a process:
 * sandbox_spawn() makes it, before or when the job is known, and sandbox_enter() locks it in. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox;

enum sandbox_layer {
    SANDBOX_NAMESPACES = 1 << 0, /* user, mount (own root), pid, net, ipc, uts */
    SANDBOX_LANDLOCK = 1 << 1,
    SANDBOX_SECCOMP = 1 << 2,
    SANDBOX_RLIMITS = 1 << 3,
    SANDBOX_CGROUP = 1 << 4, /* the only one that a host need not have, even where `reduced` is false */
};

enum { SANDBOX_TOOLS_MAX = 4, SANDBOX_TOOL_BYTES_MAX = 32 << 10 /* of a command line */ };

struct sandbox_config {
    const char *policy;            /* text of the engine's seccomp policy */
    const char *const *read_paths; /* beyond the common ones; NULL-terminated; missing ones are skipped */
    /* What jobs may execute, absolute paths, NULL-terminated; NULL: nothing. How often, at most
     * SANDBOX_TOOLS_MAX; and the policy of the programs, which has to leave them execve. */
    const char *const *programs;
    unsigned tools;
    const char *tool_policy;
    bool reduced;       /* DECANT_SANDBOX=reduced: do without namespaces */
    bool debug;         /* children keep standard error, and the kernel logs what seccomp denies */
    const char *cgroup; /* the place for cgroups (sandbox/cgroup.h) or NULL; only for sandbox_prepare */
    uint64_t memory_bytes, output_bytes;
};

/* On failure -errno and `ret_why` (a static sentence: which layer, and what to do about it). */
int sandbox_prepare(const struct sandbox_config *config, struct sandbox **ret,
                    const char **ret_why) _warn_unused_;
void sandbox_free(struct sandbox *s); /* NULL is fine */
unsigned sandbox_layers(const struct sandbox *s);
/* Why the cgroup at `config.cgroup` is not among them; NULL when it is, or none was asked for. */
const char *sandbox_cgroup_why(const struct sandbox *s);
/* "namespaces landlock seccomp rlimits" */
void sandbox_layer_names(unsigned layers, char ret[64]);

/* A process that is ready to become a program: tools.h. */
struct sandbox_tool {
    pid_t pid;
    int socket; /* takes the command line in one piece: each argument with its terminating NUL */
    int output; /* gives what the program writes to standard output and error */
};

struct sandbox_job {
    int job_fd;         /* the job's folder */
    const char *input;  /* file below it, as "uploads/….docx", or a folder of files */
    const char *output; /* folder below it */
    int keep_fd;        /* the one descriptor that the child keeps from now on; its number is filled in */
    uint64_t cpu_s;
    /* where the child finds them; filled in the child */
    char input_path[256], output_path[256];
    struct sandbox_tool tools[SANDBOX_TOOLS_MAX]; /* config.tools of them */
};

struct sandbox_child {
    pid_t pid;
    int pidfd;  /* the caller's */
    int cgroup; /* for sandbox_collect; -1: none */
};

/* Clones a child that waits for its job. In the zygote: 1. In the child: 0, in its namespaces and cgroup,
 * with no descriptor open but `keep_fd`, whose number has changed. -errno when it can't be cloned, -ESTALE
 * when its cgroup can't be had any more: a layer that was said to be in force is not, and the zygote has to
 * end. */
int sandbox_spawn(struct sandbox *s, int *keep_fd, struct sandbox_child *ret) _warn_unused_;
/* After the child's end: nothing that it left behind lives on. True when the kernel ended it for want of
 * memory in its cgroup. */
bool sandbox_collect(struct sandbox *s, const struct sandbox_child *child);
/* In the child, once: puts every layer in force and fills in `job`'s paths. */
void sandbox_enter(struct sandbox *s, struct sandbox_job *job);
/* How a child ends that can't get that far. */
enum { SANDBOX_EXIT_SETUP = 125 };
