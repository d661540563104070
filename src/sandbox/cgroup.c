/* The cgroups that a zygote keeps for its children, each named PID.NUMBER after the zygote.
 *
 * The versions differ less than one would think: a limit is a number in a file, and where the file isn't the
 * other version's or another controller's is. So one table is gone through in every folder, and what counts
 * is which bounds were put in force. Joining differs: a child of v2 is born in its cgroup
 * (CLONE_INTO_CGROUP), which costs nothing. On v1 it has to move, and the kernel waits for a moment without
 * forks first: up to 20 ms on an idle machine, and 50 µs when it has just been done. So children do it
 * themselves and ahead of their jobs, while they wait. */
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_files.h"

#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FOLDERS_MAX = 4, SLOTS_MAX = 4096, NAME_MAX_ = 32 };

enum { BOUNDS_MEMORY = 1 << 0, BOUNDS_TASKS = 1 << 1, BOUNDS_ALL = BOUNDS_MEMORY | BOUNDS_TASKS };

struct slot {
    bool taken;
    uint64_t oom_kills; /* as last seen */
};

struct cgroups {
    int folders[FOLDERS_MAX];
    size_t n_folders;
    bool unified; /* v2 */
    struct cgroup_limits limits;
    pid_t owner;
    struct slot *slots;
    size_t n_slots;
};

enum knob_value { MEMORY, TASKS, NONE, ONE };

/* A larger limit of memory and swap together is only taken after that of memory alone. What bounds nothing
 * need not be there: a kernel without swap accounting, an older one. */
static const struct knob {
    const char *file;
    enum knob_value value;
    unsigned bounds;
} knobs[] = {
    {"memory.limit_in_bytes", MEMORY, BOUNDS_MEMORY},
    {"memory.memsw.limit_in_bytes", MEMORY, 0},
    {"memory.swappiness", NONE, 0},
    {"memory.max", MEMORY, BOUNDS_MEMORY},
    {"memory.swap.max", NONE, 0},
    {"memory.oom.group", ONE, 0},
    {"pids.max", TASKS, BOUNDS_TASKS},
};

static int set_limits(int dir, const struct cgroup_limits *limits, unsigned *bounds)
{
    const uint64_t values[] = {
        [MEMORY] = limits->memory_bytes, [TASKS] = limits->tasks, [NONE] = 0, [ONE] = 1};

    for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
        int r = cgroup_write_u64(dir, knobs[i].file, values[knobs[i].value]);

        if (r == 0)
            *bounds |= knobs[i].bounds;
        else if (r != -ENOENT && knobs[i].bounds)
            return r;
    }
    return 0;
}

static const char *name_slot(const struct cgroups *c, int number, char ret[NAME_MAX_])
{
    snprintf(ret, NAME_MAX_, "%d.%d", (int)c->owner, number);
    return ret;
}

static int open_slot(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int make_slot(const struct cgroups *c, int number, const struct cgroup_limits *limits)
{
    char name[NAME_MAX_];
    unsigned bounds = 0;

    name_slot(c, number, name);
    for (size_t i = 0; i < c->n_folders; i++) {
        _cleanup_close_ int dir = cgroup_make(c->folders[i], name);
        int r = dir < 0 ? dir : set_limits(dir, limits, &bounds);

        if (r < 0)
            return r;
    }
    return bounds == BOUNDS_ALL ? 0 : -ENOTSUP;
}

static void remove_slot(const struct cgroups *c, int number)
{
    char name[NAME_MAX_];

    name_slot(c, number, name);
    for (size_t i = 0; i < c->n_folders; i++)
        cgroup_remove(c->folders[i], name);
}

/* Both versions count in a line of that name. */
static uint64_t read_oom_kills(const struct cgroups *c, int number)
{
    static const char *const files[] = {"memory.events", "memory.oom_control"};
    char name[NAME_MAX_], path[NAME_MAX_ + 32], text[512];
    unsigned long long n;

    name_slot(c, number, name);
    for (size_t i = 0; i < c->n_folders; i++)
        for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
            const char *line;

            snprintf(path, sizeof path, "%s/%s", name, files[k]);
            if (cgroup_read(c->folders[i], path, text, sizeof text) < 0)
                continue;
            line = strstr(text, "oom_kill ");
            if (line && sscanf(line, "oom_kill %llu", &n) == 1)
                return n;
        }
    return 0;
}

static bool kill_slot(const struct cgroups *c, int number)
{
    char name[NAME_MAX_];
    bool found = false;

    name_slot(c, number, name);
    for (size_t i = 0; i < c->n_folders && !found; i++) {
        _cleanup_close_ int dir = open_slot(c->folders[i], name);

        found = dir >= 0 && cgroup_kill(dir);
    }
    return found;
}

int cgroups_take(struct cgroups *c)
{
    size_t number = 0;
    int r;

    while (number < c->n_slots && (c->slots[number].taken || kill_slot(c, (int)number)))
        number++;
    if (number == c->n_slots) {
        struct slot *grown = number < SLOTS_MAX ? reallocarray(c->slots, number + 1, sizeof *grown) : NULL;

        if (!grown)
            return -ENOMEM;
        c->slots = grown;
        r = make_slot(c, (int)number, &c->limits);
        if (r < 0) {
            remove_slot(c, (int)number);
            return r;
        }
        c->slots[c->n_slots++] = (struct slot){0};
    }
    c->slots[number].taken = true;
    return (int)number;
}

bool cgroups_give_back(struct cgroups *c, int number)
{
    struct slot *slot = &c->slots[number];
    uint64_t before = slot->oom_kills;

    slot->oom_kills = read_oom_kills(c, number);
    slot->taken = false;
    kill_slot(c, number);
    return slot->oom_kills > before;
}

int cgroups_birthplace(const struct cgroups *c, int number, int *ret_fd)
{
    char name[NAME_MAX_];

    *ret_fd = -1;
    if (!c->unified)
        return 0;
    *ret_fd = open_slot(c->folders[0], name_slot(c, number, name));
    return *ret_fd < 0 ? *ret_fd : 0;
}

pid_t cgroup_clone_into(int birthplace, uint64_t flags, int *tid, int *ret_pidfd)
{
    struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP,
                              .exit_signal = SIGCHLD,
                              .child_tid = (uint64_t)(uintptr_t)tid,
                              .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                              .cgroup = (uint64_t)birthplace};
    long pid = syscall(SYS_clone3, &args, sizeof args);

    return pid < 0 ? -errno : (pid_t)pid;
}

int cgroups_join(const struct cgroups *c, int number)
{
    char name[NAME_MAX_], path[NAME_MAX_ + 16];

    snprintf(path, sizeof path, "%s/cgroup.procs", name_slot(c, number, name));
    for (size_t i = 0; i < c->n_folders && !c->unified; i++) {
        int r = cgroup_write(c->folders[i], path, "0");

        if (r < 0)
            return r;
    }
    return 0;
}

static int open_folders(struct cgroups *c, const char *folders)
{
    _cleanup_free_ char *text = strdup(folders);
    char *rest = text, *path;

    if (!text)
        return -ENOMEM;
    while ((path = strsep(&rest, ":"))) {
        int fd;

        if (c->n_folders == FOLDERS_MAX)
            return -E2BIG;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        c->folders[c->n_folders++] = fd;
        cgroup_clear_stale(fd, "");
    }
    c->unified = cgroup_has(c->folders[0], "cgroup.controllers");
    return 0;
}

int cgroups_open(const char *folders, const struct cgroup_limits *limits, struct cgroups **ret)
{
    struct cgroups *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return -ENOMEM;
    *c = (struct cgroups){.limits = *limits, .owner = getpid()};
    r = open_folders(c, folders);
    if (r < 0) {
        cgroups_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void cgroups_free(struct cgroups *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_slots; i++)
        remove_slot(c, (int)i);
    for (size_t i = 0; i < c->n_folders; i++)
        close(c->folders[i]);
    free(c->slots);
    free(c);
}
