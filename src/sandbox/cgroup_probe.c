/* The proof by attempt that a cgroup holds: a child of its own makes processes until it is refused, and then
 * touches more memory than it has. It must be the kernel that ends it, for want of memory and by the cgroup's
 * count. A kernel log names each such end; there is one for every start of an engine. */
#include "sandbox/cgroup.h"

#include "core/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PROBE_MEMORY = 16 << 20, PROBE_TASKS = 4, STEP = 4096 };

enum { NOT_JOINED = 1, FORKS_WITHOUT_BOUND, MEMORY_WITHOUT_BOUND, CANT_TRY };

static const char *const sentences[] = {
    [EXIT_SUCCESS] = "A cgroup's child ended by itself.",
    [NOT_JOINED] = "A cgroup can be made here, but a process can't become its member.",
    [FORKS_WITHOUT_BOUND] = "A cgroup can be made here, but doesn't bound processes.",
    [MEMORY_WITHOUT_BOUND] = "A cgroup can be made here, but doesn't bound memory.",
    [CANT_TRY] = "A cgroup can be made here, but there is no memory to prove that it holds.",
};

static bool is_refused_processes(void)
{
    for (int i = 0; i < PROBE_TASKS; i++) {
        pid_t parent = getpid(), pid = fork();

        if (pid < 0)
            return true;
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (getppid() == parent)
                pause();
            _exit(EXIT_SUCCESS);
        }
    }
    return false;
}

_noreturn_ static void run_child(const struct cgroups *c, int number)
{
    volatile char *memory;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || cgroups_join(c, number) < 0)
        _exit(NOT_JOINED);
    if (!is_refused_processes())
        _exit(FORKS_WITHOUT_BOUND);
    memory = mmap(NULL, 2 * PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(CANT_TRY);
    for (size_t i = 0; i < 2 * PROBE_MEMORY; i += STEP)
        memory[i] = 1;
    _exit(MEMORY_WITHOUT_BOUND);
}

/* 0 in the child, its pid, or -errno. */
static pid_t start_child(const struct cgroups *c, int number)
{
    _cleanup_close_ int birthplace = -1;
    int tid = 0, pidfd = -1, r = cgroups_birthplace(c, number, &birthplace);
    pid_t pid;

    if (r < 0)
        return r;
    pid = birthplace < 0 ? fork() : cgroup_clone_into(birthplace, 0, &tid, &pidfd);
    return pid < 0 && birthplace < 0 ? -errno : pid;
}

static int probe_in(struct cgroups *c, const char **ret_why)
{
    int number = cgroups_take(c), status;
    bool out_of_memory;
    pid_t pid;

    *ret_why = "A cgroup with limits can't be made.";
    if (number < 0)
        return number;
    pid = start_child(c, number);
    if (pid == 0)
        run_child(c, number);
    *ret_why = sentences[NOT_JOINED];
    if (pid > 0 && waitpid(pid, &status, 0) < 0)
        pid = -errno;
    out_of_memory = cgroups_give_back(c, number);
    if (pid < 0)
        return pid;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && out_of_memory)
        return 0;
    *ret_why = WIFSIGNALED(status)
                   ? "A cgroup can be made here, but doesn't tell whom it ended."
                   : sentences[WEXITSTATUS(status) < (int)ARRAY_SIZE(sentences) ? WEXITSTATUS(status) : 0];
    return -ENOTSUP;
}

int cgroups_probe(const char *folders, const char **ret_why)
{
    const struct cgroup_limits small = {.memory_bytes = PROBE_MEMORY, .tasks = PROBE_TASKS};
    struct cgroups *c;
    int r = cgroups_open(folders, &small, &c);

    *ret_why = "The folders of DECANT_CGROUP can't be opened.";
    if (r < 0)
        return r;
    r = probe_in(c, ret_why);
    if (r == 0)
        *ret_why = NULL;
    cgroups_free(c);
    return r;
}
