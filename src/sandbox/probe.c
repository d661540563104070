/* The proof by attempt that every layer is in force: a child enters the sandbox as a job would, and then
 * tries to get out by the ways that each layer closes. The first that succeeds is a refusal to start; a list
 * of kernel features would only say that they could have been had. The last attempt must end the child. */
#include "sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OR_REDUCED " Or run with DECANT_SANDBOX=reduced, which does without namespaces."

static const char *const step_sentences[ENTER_STEPS_] = {
    [ENTER_CLONE] =
        "Namespaces can't be had. Allow them to unprivileged users: sysctl "
        "kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, "
        "kernel.apparmor_restrict_unprivileged_userns=0; in Docker a seccomp profile that allows "
        "clone, unshare and mount; in the place of a chroot, where the kernel has none for users, "
        "a container." OR_REDUCED,
    [ENTER_CGROUP] = "A process can't become a member of its cgroup: DECANT_CGROUP=off does without.",
    [ENTER_PROCESS] = "A process of its own can't be set up: close_range and prctl are needed (Linux 5.9).",
    [ENTER_MAPS] = "The user namespace can't be mapped: /proc must be mounted, and "
                   "kernel.apparmor_restrict_unprivileged_userns must be 0." OR_REDUCED,
    [ENTER_JOB] = "A mount namespace can't be had: a seccomp profile or AppArmor forbids unshare." OR_REDUCED,
    [ENTER_MOUNTS] =
        "A root of its own can't be mounted: allow mount, pivot_root, open_tree, move_mount, mount_setattr "
        "and umount2 in the container's seccomp profile, and mount in its AppArmor profile." OR_REDUCED,
    [ENTER_TOOLS] = "The processes for an engine's programs can't be made.",
    [ENTER_CAPABILITIES] = "Capabilities can't be given up.",
    [ENTER_LIMITS] = "Resource limits can't be set.",
    [ENTER_LANDLOCK] =
        "Landlock is not in force: a Linux 5.13 or later with landlock in its list of security "
        "modules (lsm=) is needed.",
    [ENTER_SECCOMP] =
        "Seccomp filters can't be had: the kernel needs CONFIG_SECCOMP_FILTER, and a systemd unit "
        "must not forbid the call.",
};

static bool opens_canary(const struct sandbox *s, pid_t zygote)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool writes_outside(const struct sandbox *s, pid_t zygote)
{
    return open("/probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ||
           open("/var/tmp/decant-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool makes_socket(const struct sandbox *s, pid_t zygote)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ||
           socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 ||
           socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool signals_zygote(const struct sandbox *s, pid_t zygote)
{
    struct rlimit limit;

    return kill(zygote, 0) == 0 || prlimit(zygote, RLIMIT_CORE, NULL, &limit) == 0;
}

static bool makes_process(const struct sandbox *s, pid_t zygote)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool exceeds_memory(const struct sandbox *s, pid_t zygote)
{
#if defined(__SANITIZE_ADDRESS__)
    return false; /* no limit on it there, see enter_limits */
#else
    return mmap(NULL, s->config.memory_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
#endif
}

static const struct attempt {
    bool (*succeeds)(const struct sandbox *s, pid_t zygote);
    const char *sentence;
} attempts[] = {
    {opens_canary, "The sandbox leaks: a file outside could be opened."},
    {writes_outside, "The sandbox leaks: a file outside could be written."},
    {makes_socket, "The sandbox leaks: a socket could be made."},
    {signals_zygote, "The sandbox leaks: another process could be reached."},
    {makes_process, "The sandbox leaks: a process could be made."},
    {exceeds_memory, "The sandbox leaks: memory is not bounded."},
};

static const char killing_fails[] = "The sandbox leaks: a call that ends the process didn't.";

/* What the child found. Sentences are told by their address, which is the zygote's too. */
struct finding {
    int error;
    const char *sentence;
};

_noreturn_ static void run_child(struct sandbox *s, int cgroup, int pipe_fd, pid_t zygote)
{
    enum enter_step step;
    struct finding finding = {.error = enter_waiting(s, cgroup, &pipe_fd, &step)};
    struct sandbox_job job = {.job_fd = -1, .keep_fd = pipe_fd};

    if (finding.error == 0)
        finding.error = enter_child(s, &job, &step);
    if (finding.error < 0)
        finding.sentence = step_sentences[step];
    else
        pipe_fd = job.keep_fd;
    for (size_t i = 0; !finding.sentence && i < ARRAY_SIZE(attempts); i++)
        if (attempts[i].succeeds(s, zygote))
            finding = (struct finding){-EPERM, attempts[i].sentence};
    if (finding.error == 0 && *s->tid_address != (int)syscall(SYS_gettid))
        finding = (struct finding){-ENOTSUP, "The C library's record of the thread's id can't be set."};
    if (write(pipe_fd, &finding, sizeof finding) != sizeof finding || finding.error)
        _exit(SANDBOX_EXIT_SETUP);
    syscall(SYS_io_uring_setup, 1, NULL);
    _exit(EXIT_SUCCESS);
}

int probe_sandbox(struct sandbox *s, const char **ret_why)
{
    _cleanup_close_ int read_fd = -1, write_fd = -1;
    struct sandbox_child child;
    struct finding finding;
    pid_t zygote = getpid();
    int fds[2], status, r;
    ssize_t n;

    *ret_why = step_sentences[ENTER_CLONE];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    read_fd = fds[0];
    write_fd = fds[1];
    r = enter_clone(s, &child);
    if (r < 0)
        return r;
    if (r == 0)
        run_child(s, child.cgroup, write_fd, zygote);
    close(TAKE_FD(write_fd));
    n = read(read_fd, &finding, sizeof finding);
    close(child.pidfd);
    r = waitpid(child.pid, &status, 0) < 0 ? -errno : 0;
    sandbox_collect(s, &child);
    if (r < 0)
        return r;
    if (n != (ssize_t)sizeof finding) {
        *ret_why = "The sandbox ends its process: the seccomp policy is too strict for this system.";
        return -ENOTSUP;
    }
    *ret_why = finding.sentence;
    if (finding.error < 0)
        return finding.error;
    *ret_why = killing_fails;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 0 : -EPERM;
}
