#include "sandbox/sandbox.h"
#include "sandbox/enter.h"
#include "sandbox/landlock.h"
#include "sandbox/probe.h"

#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

/* LibreOffice has some twenty threads and one more for each core, libvips one or two for each. */
enum { TASKS = 64, TASKS_PER_CORE = 4 };

static int find_tid(struct sandbox *s)
{
    /* Needs CONFIG_CHECKPOINT_RESTORE, which all distributions' kernels have. */
    if (prctl(PR_GET_TID_ADDRESS, &s->tid_address) < 0)
        return -errno;
    return s->tid_address && *s->tid_address == (int)syscall(SYS_gettid) ? 0 : -ENOTSUP;
}

/* The one layer that a host need not have. What can be made but doesn't hold is none. */
static void prepare_cgroups(struct sandbox *s)
{
    const struct cgroup_limits limits = {.memory_bytes = s->config.memory_bytes,
                                         .tasks = TASKS + (uint64_t)get_nprocs() * TASKS_PER_CORE};
    const char *place = TAKE_PTR(s->config.cgroup);

    if (!place || cgroups_probe(place, &s->cgroup_why) < 0)
        return;
    if (cgroups_open(place, &limits, &s->cgroups) < 0)
        s->cgroup_why = "The folders of DECANT_CGROUP can't be opened.";
}

static int prepare(struct sandbox *s, const char **ret_why)
{
    static char policy_mistake[80];
    unsigned line;
    int r = find_tid(s);

    if (r < 0) {
        *ret_why = "prctl(PR_GET_TID_ADDRESS) is missing: the kernel needs CONFIG_CHECKPOINT_RESTORE.";
        return r;
    }
    s->landlock_abi = landlock_abi();
    if (s->landlock_abi < 0) {
        *ret_why = "Landlock is missing: a Linux 5.13 or later with landlock in its list of security modules "
                   "(lsm=) is needed.";
        return s->landlock_abi;
    }
    r = policy_compile(s->config.policy, &s->policy, &line);
    if (r < 0) {
        snprintf(policy_mistake, sizeof policy_mistake, "The seccomp policy can't be compiled: line %u.",
                 line);
        *ret_why = policy_mistake;
        return r;
    }
    if (s->config.tools > 0 && policy_compile(s->config.tool_policy, &s->tool_policy, &line) < 0) {
        snprintf(policy_mistake, sizeof policy_mistake,
                 "The seccomp policy of programs can't be compiled: line %u.", line);
        *ret_why = policy_mistake;
        return -EINVAL;
    }
    prepare_cgroups(s);
    return probe_sandbox(s, ret_why);
}

int sandbox_prepare(const struct sandbox_config *config, struct sandbox **ret, const char **ret_why)
{
    struct sandbox *s = calloc(1, sizeof *s);
    int r;

    *ret_why = "There is no memory.";
    if (!s)
        return -ENOMEM;
    *s = (struct sandbox){.config = *config, .uid = geteuid(), .gid = getegid()};
    r = prepare(s, ret_why);
    if (r < 0) {
        sandbox_free(s);
        return r;
    }
    *ret_why = NULL;
    *ret = s;
    return 0;
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    cgroups_free(s->cgroups);
    policy_free(&s->policy);
    policy_free(&s->tool_policy);
    free(s);
}

unsigned sandbox_layers(const struct sandbox *s)
{
    return SANDBOX_LANDLOCK | SANDBOX_SECCOMP | SANDBOX_RLIMITS |
           (s->config.reduced ? 0 : SANDBOX_NAMESPACES) | (s->cgroups ? SANDBOX_CGROUP : 0);
}

const char *sandbox_cgroup_why(const struct sandbox *s)
{
    return s->cgroup_why;
}

void sandbox_layer_names(unsigned layers, char ret[64])
{
    static const struct {
        unsigned layer;
        const char *name;
    } names[] = {
        {SANDBOX_NAMESPACES, "namespaces"}, {SANDBOX_LANDLOCK, "landlock"}, {SANDBOX_SECCOMP, "seccomp"},
        {SANDBOX_RLIMITS, "rlimits"},       {SANDBOX_CGROUP, "cgroup"},
    };
    char *p = ret;

    *p = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (layers & names[i].layer)
            p += sprintf(p, "%s%s", p == ret ? "" : " ", names[i].name);
}

/* Nobody else could tell: the child has no way back to a caller. */
_noreturn_ static void give_up(enum enter_step step, int error)
{
    log_error("a child could not enter the sandbox", LOG_U("step", step), LOG_E(error));
    _exit(SANDBOX_EXIT_SETUP);
}

int sandbox_spawn(struct sandbox *s, int *keep_fd, struct sandbox_child *ret)
{
    enum enter_step step;
    int r = enter_clone(s, ret);

    if (r != 0)
        return r;
    r = enter_waiting(s, ret->cgroup, keep_fd, &step);
    /* Who made the cgroup removes it last of all, when everybody here is to end. Where that isn't so, our
     * parent says it, as it looks after its cgroups. */
    if (r == -ENOENT && step == ENTER_CGROUP)
        _exit(SANDBOX_EXIT_SETUP);
    if (r < 0)
        give_up(step, r);
    return 0;
}

bool sandbox_collect(struct sandbox *s, const struct sandbox_child *child)
{
    return s->cgroups && child->cgroup >= 0 && cgroups_give_back(s->cgroups, child->cgroup);
}

void sandbox_enter(struct sandbox *s, struct sandbox_job *job)
{
    enum enter_step step;
    int r = enter_child(s, job, &step);

    if (r < 0)
        give_up(step, r);
}
