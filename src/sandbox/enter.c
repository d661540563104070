/* The child's way into the sandbox. The order is what matters here, and docs/sandbox.md says why it is so:
 *
 *   cgroup     what it takes is counted from here on
 *   process    own session, dies with the zygote, holds no descriptor but the socket that its job comes by
 *   maps       its user id in the new user namespace: the same number, and no other
 *   (here it waits for its job)
 *   job        input and output opened below the job's folder, in the new mount namespace
 *   mounts     a root that has nothing but the libraries, the fonts and the job
 *   tools      the processes that are to become programs, where the engine has any: they go on as we do
 *   then what can't be undone: capabilities, no_new_privs, limits, Landlock, and seccomp, which forbids the
 *   calls that set up all the others.
 *
 * The clone is raw, as one call makes the child pid 1 of its namespace and gives its pidfd. What glibc's
 * fork() does besides must be made up for: the thread's id that pthread mutexes and raise() use is cached in
 * the thread's descriptor, and the kernel writes the new one there (CLONE_CHILD_SETTID; prctl tells the
 * address). Handlers of pthread_atfork don't run: they exist to unlock what other threads hold, and there are
 * none. Rejected: fork() and then unshare(), as the pid namespace would need a second fork of 250 MB. */
#include "sandbox/enter.h"
#include "sandbox/landlock.h"
#include "sandbox/root.h"
#include "sandbox/tools.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Where the child finds them: the one that it keeps, and while it enters the job's folder. */
enum { KEEP_FD = 3, JOB_FD = 4 };

enum { TMP_BYTES_MAX = 512 << 20, OPEN_FILES = 1024, COPY_CHUNK = 1 << 30 };

/* What documents can print of where they are (fields for the file's name and path) is the same for all. */
#define INPUT_NAME      "document"
#define IN_PLACE_OUTPUT "/proc/self/cwd"

static long raw_clone(unsigned long flags, int *tid, int *ret_pidfd)
{
#if defined(__x86_64__)
    return syscall(SYS_clone, flags | SIGCHLD, NULL, ret_pidfd, tid, 0);
#else /* arm64, riscv and most others have the last two the other way round */
    return syscall(SYS_clone, flags | SIGCHLD, NULL, ret_pidfd, 0, tid);
#endif
}

static int clone_at(const struct sandbox *s, int birthplace, struct sandbox_child *ret)
{
    unsigned long flags = CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    long pid;

    if (!s->config.reduced)
        flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (birthplace >= 0)
        return cgroup_clone_into(birthplace, flags, s->tid_address, &ret->pidfd);
    pid = raw_clone(flags, s->tid_address, &ret->pidfd);
    return pid < 0 ? -errno : (int)pid;
}

int enter_clone(const struct sandbox *s, struct sandbox_child *ret)
{
    _cleanup_close_ int birthplace = -1;
    int r;

    *ret = (struct sandbox_child){.pidfd = -1, .cgroup = -1};
    if (s->cgroups) {
        ret->cgroup = cgroups_take(s->cgroups);
        if (ret->cgroup < 0)
            return -ESTALE;
        if (cgroups_birthplace(s->cgroups, ret->cgroup, &birthplace) < 0)
            return -ESTALE;
    }
    r = clone_at(s, birthplace, ret);
    if (r == 0)
        return 0;
    ret->pid = r;
    if (r < 0 && s->cgroups)
        cgroups_give_back(s->cgroups, ret->cgroup);
    return r < 0 ? r : 1;
}

/* Moves the descriptors to numbers of ours and closes all others. `folder` may be -1. */
static int keep_descriptors(int keep, int folder)
{
    int high_keep = fcntl(keep, F_DUPFD_CLOEXEC, JOB_FD + 1);
    int high_folder = folder >= 0 ? fcntl(folder, F_DUPFD_CLOEXEC, JOB_FD + 1) : high_keep;

    if (high_keep < 0 || high_folder < 0 || dup3(high_keep, KEEP_FD, O_CLOEXEC) < 0 ||
        dup3(high_folder, JOB_FD, O_CLOEXEC) < 0 ||
        syscall(SYS_close_range, folder >= 0 ? JOB_FD + 1 : JOB_FD, ~0U, 0) < 0)
        return -errno;
    return 0;
}

static int enter_process(int keep_fd)
{
    sigset_t none;

    sigemptyset(&none);
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return -errno;
    umask(007); /* what it makes in the output folder is for the folder's group: files/storage.h */
    return keep_descriptors(keep_fd, -1);
}

static int write_file(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

static int write_maps(const struct sandbox *s)
{
    char uid_map[48], gid_map[48];
    int r;

    snprintf(uid_map, sizeof uid_map, "%u %u 1\n", s->uid, s->uid);
    snprintf(gid_map, sizeof gid_map, "%u %u 1\n", s->gid, s->gid);
    r = write_file("/proc/self/setgroups", "deny");
    if (r == 0)
        r = write_file("/proc/self/gid_map", gid_map);
    return r < 0 ? r : write_file("/proc/self/uid_map", uid_map);
}

/* The files of a process that isn't dumpable belong to root. It is so for these writes only: nothing
 * untrusted has been read yet, and siblings can't reach anybody from their sandboxes. */
static int enter_maps(const struct sandbox *s)
{
    int r = 0;

    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    if (!s->config.reduced)
        r = write_maps(s);
    /* The first to go when memory is short; a host without the file decides alone. */
    if (r == 0 && write_file("/proc/self/oom_score_adj", "1000") == -ENOMEM)
        r = -ENOMEM;
    if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
        r = -errno;
    return r;
}

struct job_files {
    int input, output;
};

/* The new mount namespace takes the working directory along, and only what is opened from there afterwards
 * belongs to it: that is why the job's folder is entered first. */
static int enter_job(const struct sandbox *s, const struct sandbox_job *job, struct job_files *ret)
{
    struct stat st;
    int r = keep_descriptors(job->keep_fd, job->input ? job->job_fd : -1);

    if (r < 0)
        return r;
    if (job->input && fchdir(JOB_FD) < 0)
        return -errno;
    if (!s->config.reduced && unshare(CLONE_NEWNS) < 0)
        return -errno;
    if (!job->input)
        return 0;
    ret->input = path_open(AT_FDCWD, job->input, O_PATH | O_NOFOLLOW, 0);
    if (ret->input < 0)
        return ret->input;
    /* A second link would be a way to have a file of somebody else's converted. A folder is one that the
     * worker has made and filled. */
    if (fstat(ret->input, &st) < 0 || (!S_ISDIR(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_nlink != 1)))
        return -EINVAL;
    ret->output = path_open(AT_FDCWD, job->output, O_PATH | O_DIRECTORY, 0);
    return ret->output < 0 ? ret->output : 0;
}

/* With its dot; the engines go by it. */
static const char *extension(const char *input)
{
    const char *slash = strrchr(input, '/'), *dot = strrchr(slash ? slash : input, '.');

    return dot ? dot : "";
}

/* By the kernel, which shares the blocks where the file system can: nothing of it comes into our memory. */
static int copy_file(int from, const char *to)
{
    _cleanup_close_ int copy = -1;
    ssize_t n;

    /* What the run before left, when this one is its repetition. */
    if (unlink(to) < 0 && errno != ENOENT)
        return -errno;
    copy = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (copy < 0)
        return -errno;
    while ((n = copy_file_range(from, NULL, copy, NULL, COPY_CHUNK, 0)) > 0)
        ;
    return n < 0 ? -errno : 0;
}

static int copy_entry(int folder, const char *name, const char *to)
{
    _cleanup_close_ int from = path_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", to, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return from < 0 ? from : copy_file(from, path);
}

/* A folder has files alone. */
static int copy_folder(int folder, const char *to)
{
    _cleanup_closedir_ DIR *dir = NULL;
    const struct dirent *entry;
    int r = path_open_dir(folder, ".", &dir);

    if (r < 0)
        return r;
    if (mkdir(to, 0700) < 0 && errno != EEXIST)
        return -errno;
    while (r == 0 && (errno = 0, entry = readdir(dir))) // NOLINT(concurrency-mt-unsafe): one thread
        if (entry->d_name[0] != '.')
            r = copy_entry(folder, entry->d_name, to);
    return r < 0 ? r : -errno;
}

static int copy_input(int input, const char *to)
{
    _cleanup_close_ int from = path_reopen(input);
    struct stat st;

    if (from < 0)
        return from;
    if (fstat(from, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? copy_folder(from, to) : copy_file(from, to);
}

/* Without a mount namespace the output folder is where it is: as the working directory it can be reached
 * whoever may walk there, and by a name that tells nothing. The temporary folder is in it, and in that a copy
 * of the input: by a link its name could be had as well, but LibreOffice asks where a link leads to, which
 * nobody may know who can't walk there, and hard links would make the original writable. */
static int enter_in_place(struct sandbox_job *job, const struct job_files *files, char *tmp, size_t size)
{
    if (!job->input)
        return 0;
    if (fchdir(files->output) < 0)
        return -errno;
    snprintf(tmp, size, IN_PLACE_OUTPUT "/.tmp");
    snprintf(job->output_path, sizeof job->output_path, IN_PLACE_OUTPUT);
    if (snprintf(job->input_path, sizeof job->input_path, "%s/" INPUT_NAME "%s", tmp,
                 extension(job->input)) >= (int)sizeof job->input_path)
        return -ENAMETOOLONG;
    /* For the group too, as it is who empties it. */
    if (mkdir(tmp, 0770) < 0 && errno != EEXIST)
        return -errno;
    return copy_input(files->input, job->input_path);
}

static int enter_root(const struct sandbox *s, struct sandbox_job *job, const struct job_files *files)
{
    struct root root = {
        .read_paths = s->config.read_paths,
        .programs = s->config.programs,
        .tmp_bytes = s->config.memory_bytes / 4 < TMP_BYTES_MAX ? s->config.memory_bytes / 4 : TMP_BYTES_MAX,
        .input_fd = files->input,
        .output_fd = files->output,
        .input_path = job->input_path,
    };

    if (job->input) {
        if (snprintf(job->input_path, sizeof job->input_path, "/" INPUT_NAME "%s", extension(job->input)) >=
            (int)sizeof job->input_path)
            return -ENAMETOOLONG;
        snprintf(job->output_path, sizeof job->output_path, ROOT_OUTPUT);
    }
    return root_enter(&root);
}

static int enter_mounts(const struct sandbox *s, struct sandbox_job *job, struct job_files *files,
                        char *ret_tmp, size_t size)
{
    int r;

    snprintf(ret_tmp, size, "/tmp");
    r = s->config.reduced ? enter_in_place(job, files, ret_tmp, size) : enter_root(s, job, files);
    if (r == 0 && (setenv("TMPDIR", ret_tmp, 1) < 0 || setenv("HOME", ret_tmp, 1) < 0))
        r = -errno;
    if (files->input >= 0)
        close(files->input);
    if (files->output >= 0)
        close(files->output);
    if (job->input)
        close(JOB_FD);
    return r;
}

static int enter_capabilities(const struct sandbox *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    /* Only a user namespace gives the right to shrink the bounding set, and only there is something to lose.
     */
    for (unsigned long cap = 0; !s->config.reduced && cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        /* A change of capabilities can clear it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return 0;
}

static int limit(int resource, uint64_t value)
{
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    if (both.rlim_max > now.rlim_max)
        both.rlim_cur = both.rlim_max = now.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &both) < 0 ? -errno : 0;
}

/* No RLIMIT_NPROC: before Linux 5.14 it counts the processes of the user, not of the job. Processes are
 * denied by seccomp, and threads end with the address space. Where both CPU limits are the same the kernel
 * sends SIGKILL at once; SIGXCPU would be ignored by pid 1. */
static int enter_limits(const struct sandbox *s, const struct sandbox_job *job)
{
    int r = limit(RLIMIT_CORE, 0);

/* The address sanitizer reserves terabytes. */
#if !defined(__SANITIZE_ADDRESS__)
    if (r == 0)
        r = limit(RLIMIT_AS, s->config.memory_bytes);
#endif
    if (r == 0 && job->cpu_s)
        r = limit(RLIMIT_CPU, job->cpu_s);
    if (r == 0)
        r = limit(RLIMIT_FSIZE, s->config.output_bytes);
    if (r == 0)
        r = limit(RLIMIT_NOFILE, OPEN_FILES);
    if (r == 0)
        r = limit(RLIMIT_MSGQUEUE, 0);
    return r < 0 ? r : limit(RLIMIT_MEMLOCK, 0);
}

static int allow_reading(int ruleset, int abi, const char *const *paths)
{
    int r = 0;

    for (; r == 0 && paths && *paths; paths++)
        r = landlock_allow(ruleset, abi, *paths, LANDLOCK_READ, true);
    return r;
}

/* The kernel opens a program's loader as it opens the program. */
static int allow_executing(int ruleset, int abi, const char *const *programs)
{
    int r = landlock_allow(ruleset, abi, tools_loader(), LANDLOCK_EXECUTE, false);

    for (; r == 0 && *programs; programs++)
        r = landlock_allow(ruleset, abi, *programs, LANDLOCK_EXECUTE, true);
    return r;
}

/* What is read is named, also below a root of our own: /proc tells more of a process than it should know,
 * such as where the host keeps the job (mountinfo), in which the session's id is, or its connections (net).
 * Names of files may be listed, where libraries look for them. */
static int enter_landlock(const struct sandbox *s, const struct sandbox_job *job, const char *tmp, bool tool)
{
    static const char *const own[] = {"/dev/zero",         "/dev/urandom",     "/dev/random",
                                      "/proc/self/maps",   "/proc/self/stat",  "/proc/self/smaps_rollup",
                                      "/proc/self/status", "/proc/self/statm", NULL};
    _cleanup_close_ int ruleset = landlock_begin(s->landlock_abi);
    int r, abi = s->landlock_abi;

    if (ruleset < 0)
        return ruleset;
    r = allow_reading(ruleset, abi, root_common_paths);
    if (r == 0)
        r = allow_reading(ruleset, abi, s->config.read_paths);
    if (r == 0 && tool)
        r = allow_executing(ruleset, abi, s->config.programs);
    if (r == 0)
        r = allow_reading(ruleset, abi, own);
    if (r == 0)
        r = landlock_allow(ruleset, abi, s->config.reduced ? "/proc/self" : "/", LANDLOCK_LIST, true);
    if (r == 0)
        r = landlock_allow(ruleset, abi, "/dev/null", LANDLOCK_WRITE_FILE, false);
    if (r == 0 && (job->input || !s->config.reduced))
        r = landlock_allow(ruleset, abi, tmp, LANDLOCK_READ_WRITE, false);
    if (r == 0 && job->input)
        r = landlock_allow(ruleset, abi, job->output_path, LANDLOCK_WRITE_FILES, false);
    if (r == 0 && job->input)
        r = landlock_allow(ruleset, abi, job->input_path, LANDLOCK_READ, false);
    return r < 0 ? r : landlock_enter(ruleset);
}

/* What a library prints about a document has no place in our log; what a program prints, its engine reads. */
static int silence(const struct sandbox *s, bool tool)
{
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int last = tool ? STDIN_FILENO : s->config.debug ? STDOUT_FILENO : STDERR_FILENO;

    if (null < 0)
        return -errno;
    for (int fd = STDIN_FILENO; fd <= last; fd++)
        if (dup2(null, fd) < 0)
            return -errno;
    return 0;
}

int enter_waiting(const struct sandbox *s, int cgroup, int *keep_fd, enum enter_step *ret_step)
{
    int r;

    *ret_step = ENTER_CGROUP;
    r = s->cgroups ? cgroups_join(s->cgroups, cgroup) : 0;
    if (r < 0)
        return r;
    *ret_step = ENTER_PROCESS;
    r = enter_process(*keep_fd);
    if (r < 0)
        return r;
    *keep_fd = KEEP_FD;
    *ret_step = ENTER_MAPS;
    return enter_maps(s);
}

/* What can't be undone. `tool`: the socket of one that is to become a program, else -1. */
static int lock_in(const struct sandbox *s, const struct sandbox_job *job, const char *tmp, int tool,
                   enum enter_step *ret_step)
{
    int r;

    *ret_step = ENTER_CAPABILITIES;
    r = enter_capabilities(s);
    if (r < 0)
        return r;
    *ret_step = ENTER_LIMITS;
    r = enter_limits(s, job);
    if (r < 0)
        return r;
    *ret_step = ENTER_LANDLOCK;
    r = enter_landlock(s, job, tmp, tool >= 0);
    if (r == 0)
        r = silence(s, tool >= 0);
    if (r < 0)
        return r;
    *ret_step = ENTER_SECCOMP;
    return policy_enter(tool >= 0 ? &s->tool_policy : &s->policy, (pid_t)syscall(SYS_getpid),
                        s->config.debug);
}

int enter_child(struct sandbox *s, struct sandbox_job *job, enum enter_step *ret_step)
{
    struct job_files files = {-1, -1};
    char tmp[PATH_MAX];
    int r, tool = -1;

    *ret_step = ENTER_JOB;
    r = enter_job(s, job, &files);
    if (r < 0)
        return r;
    *ret_step = ENTER_MOUNTS;
    r = enter_mounts(s, job, &files, tmp, sizeof tmp);
    if (r < 0)
        return r;
    *ret_step = ENTER_TOOLS;
    r = tools_make(s, job, &tool);
    if (r < 0)
        return r;
    r = lock_in(s, job, tmp, tool, ret_step);
    if (r == 0 && tool >= 0)
        tools_become(tool);
    job->keep_fd = KEEP_FD;
    return r;
}
