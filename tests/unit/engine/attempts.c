/* The table's functions: what a line of attempts.def can't say in one call.
 *
 * Nothing here is undone: an attempt has a process of its own. What can't be tried, as a file that it needs
 * can't be made, is "broken" rather than refused. */
#include "attempts.h"

#include "core/str.h"
#include "sandbox/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { REPORT_FD = 3, FILES_MAX = 1024, BLOCK = 64 * 1024, PATH_BYTES = 1024 };

#define NAMESPACES                                                                                           \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |               \
     CLONE_NEWCGROUP)

/* --- the report */

static char report_path[PATH_BYTES];

_printf_(1, 2) static void report(const char *format, ...)
{
    char line[256];
    va_list args;
    int fd, n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fd = open(report_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        _exit(EXIT_FAILURE);
    close(fd);
}

_noreturn_ static void broken(const char *what)
{
    report("broken: %s, %s\n", what, strerrorname_np(errno));
    _exit(EXIT_FAILURE);
}

static long refuse(int error)
{
    errno = error;
    return -1;
}

/* --- names */

/* Good until the end of the process. */
static const char *below(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s%s", folder, name) < 0 ? "" : path;
}

/* The absolute `path`, from a folder that is not the root. */
static const char *by_dots(const char *folder, const char *path)
{
    return below(below(folder, "/../../../../../../../../../../../../.."), path);
}

static const char *proc(pid_t pid, const char *name)
{
    char *path;

    return asprintf(&path, "/proc/%d/%s", (int)pid, name) < 0 ? "" : path;
}

/* --- files */

static long opens(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);
}

/* By the descriptor of one that is not open for reading: it can be had of what may not be read. */
static long reopens(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    char link[32];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return fd < 0 ? -1 : opens(link, O_RDONLY);
}

static long lists(const char *path)
{
    DIR *dir = opendir(path);

    errno = 0;
    if (!dir || !readdir(dir))
        return refuse(errno ? errno : ENOENT);
    return 0;
}

static long stats(const char *path)
{
    struct stat st;

    return stat(path, &st);
}

static long makes_handle(const char *path)
{
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } u = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;

    return name_to_handle_at(AT_FDCWD, path, &u.handle, &mount_id, 0);
}

/* The original, wherever it can be named. */
static const char *original(const struct attempt_place *p)
{
    return p->full ? p->input : p->real_input;
}

static bool is_expected_in_root(const char *name)
{
    static const char *const made[] = {".", "..", "dev", "etc", "job", "proc", "tmp", "var"};

    for (size_t i = 0; i < ARRAY_SIZE(made); i++)
        if (str_eq(made[i], name))
            return true;
    for (const char *const *path = root_common_paths; *path; path++)
        if (str_eq(*path + 1, name))
            return true;
    return str_starts(name, "document.");
}

static long sees_more_of_the_root(void)
{
    DIR *dir = opendir("/");

    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        if (!is_expected_in_root(e->d_name))
            return 0;
    return refuse(ENOENT);
}

bool attempt_in_program;

static long sees_processes(void)
{
    pid_t keeper = attempt_in_program ? getppid() : getpid();
    DIR *dir = opendir("/proc");

    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid() &&
            atoi(e->d_name) != keeper)
            return 0;
    return refuse(ESRCH);
}

/* Writes so many bytes into a file of the folder; -1 when they don't fit. */
static long writes_named(const char *folder, const char *name, uint64_t bytes)
{
    static const char block[BLOCK];
    int fd = open(below(folder, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    for (uint64_t done = 0; done < bytes;) {
        size_t piece = bytes - done < BLOCK ? (size_t)(bytes - done) : BLOCK;
        ssize_t n = write(fd, block, piece);

        if (n < 0)
            return -1;
        done += (uint64_t)n;
    }
    return close(fd);
}

static long writes_file(const char *folder, uint64_t bytes)
{
    return writes_named(folder, "/written", bytes);
}

static long writes_several(const struct attempt_place *p)
{
    return writes_named(p->output, "/one", p->output_bytes) < 0
               ? -1
               : writes_named(p->output, "/other", p->output_bytes);
}

/* Twice what a private one holds. */
static long fills_folder(const char *folder, const struct attempt_place *p)
{
    for (uint64_t done = 0; done <= p->memory_bytes / 2; done += p->output_bytes) {
        char name[32];

        snprintf(name, sizeof name, "/%llu", (unsigned long long)done);
        if (writes_named(folder, name, p->output_bytes) < 0)
            return -1;
    }
    return 0;
}

static long makes_files(const char *folder, int n)
{
    for (int i = 0; i < n; i++) {
        char name[32];

        snprintf(name, sizeof name, "/%d", i);
        if (writes_named(folder, name, 0) < 0)
            return -1;
    }
    return 0;
}

/* In the output folder. */
static const char *makes_file(const struct attempt_place *p)
{
    if (writes_file(p->output, 10) < 0)
        broken("no file can be made");
    return below(p->output, "/written");
}

/* From the beginning, as nobody can change it afterwards. */
static long makes_set_user_id(const struct attempt_place *p)
{
    struct stat st;
    int fd;

    umask(0);
    fd = open(below(p->output, "/escaped"), O_WRONLY | O_CREAT | O_CLOEXEC, 06777);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        broken("the new file isn't there");
    return st.st_mode & (S_ISUID | S_ISGID) ? 0 : refuse(EPERM);
}

static void copies_true(int to)
{
    static char program[1 << 20];
    int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(from, program, sizeof program);

    if (n <= 0 || write(to, program, (size_t)n) != n)
        broken("/bin/true can't be copied");
    close(from);
}

static const char *makes_program(const struct attempt_place *p)
{
    const char *path = below(p->output, "/program");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

    if (fd < 0)
        broken("no program can be made");
    copies_true(fd);
    close(fd);
    return path;
}

/* --- processes */

/* What clone() or fork() gave; a child of our own memory must not go on. */
static long forks(long pid)
{
    if (pid == 0)
        _exit(EXIT_SUCCESS);
    return pid;
}

static long clones3(uint64_t flags)
{
    uint64_t args[8] = {flags, 0, 0, 0, SIGCHLD}; /* struct clone_args of Linux 5.3 */

    return syscall(SYS_clone3, args, sizeof args);
}

static int ends(void *arg)
{
    return 0;
}

static long clones_thread(int flags)
{
    static char stack[16 * 1024] __attribute__((aligned(16)));

    return clone(ends, stack + sizeof stack,
                 flags | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
                 NULL);
}

static void *returns(void *arg)
{
    return arg;
}

static long makes_thread(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, returns, NULL);

    return error ? refuse(error) : pthread_join(thread, NULL);
}

/* In a session of its own, its parent gone. */
static long leaves_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (setsid() < 0 || fork() != 0)
            _exit(EXIT_SUCCESS);
        usleep(300 * 1000);
        _exit(EXIT_SUCCESS);
    }
    return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static long makes_processes(int n)
{
    for (int i = 0; i < n; i++)
        if (forks(fork()) < 0)
            return -1;
    return 0;
}

static long spawns(void)
{
    char name[] = "true", *const argv[] = {name, NULL};
    pid_t pid;
    int error = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

    return error ? refuse(error) : 0;
}

static long executes_from_memory(void)
{
    char name[] = "true", *const argv[] = {name, NULL};
    int fd = memfd_create("x", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    copies_true(fd);
    return fexecve(fd, argv, environ);
}

/* Of a copy of ourselves, or of our parent's: the same address will do. */
static long reads_memory(pid_t pid)
{
    char text[8];
    struct iovec to = {text, sizeof text}, from = {report_path, sizeof text};

    return process_vm_readv(pid, &to, 1, &from, 1, 0);
}

static long reads_robust_list(pid_t pid)
{
    void *head;
    size_t len;

    return syscall(SYS_get_robust_list, pid, &head, &len);
}

static long sets_processors(pid_t pid)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        broken("the processors are not known");
    return sched_setaffinity(pid, sizeof set, &set);
}

/* --- the network */

static long makes_any_socket(void)
{
    for (int family = 1; family < AF_MAX; family++)
        for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
            if (socket(family, type, 0) >= 0)
                return 0;
    return -1;
}

static long calls_tcp(int fd, const struct attempt_place *p)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)p->port)};

    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
}

static long calls_abstract(int fd, const struct attempt_place *p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", p->abstract);

    return fd < 0 ? -1
                  : connect(fd, (struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)n);
}

static long calls_path(int fd, const struct attempt_place *p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", p->outside);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
}

/* More than the head of the table. */
static long sees_connections(void)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/net/tcp", "re");
    char line[512];

    if (!f)
        return -1;
    return fgets(line, sizeof line, f) && fgets(line, sizeof line, f) ? 0 : refuse(ENOENT);
}

/* --- privilege */

static long takes_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};

    return syscall(SYS_capset, &header, all);
}

static long has_capability_in_reach(void)
{
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            return 0;
    return refuse(EPERM);
}

#if defined(__x86_64__)
/* getpid() by the numbers of i386. A kernel without them raises SIGSEGV, before seccomp is asked. */
static long calls_as_32_bit(void)
{
    long result = 20;

    signal(SIGSEGV, SIG_DFL);
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    return result;
}
#endif

/* --- memory and limits */

static long maps_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? -1
               : 0;
}

static long maps_file_as_code(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        broken("the file can't be opened");
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0;
}

#if !defined(__SANITIZE_ADDRESS__)
static long takes_memory(uint64_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
                   MAP_FAILED
               ? -1
               : 0;
}

static long takes_memory_in_pieces(uint64_t bytes)
{
    enum { PIECE = 1 << 20 };

    for (uint64_t taken = 0; taken < bytes; taken += PIECE)
        if (takes_memory(PIECE) < 0)
            return -1;
    return 0;
}
#endif

static long raises_limit(int resource)
{
    const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

    return setrlimit((__rlimit_resource_t)resource, &none);
}

static long opens_many(int n)
{
    int fds[FILES_MAX + 1], opened = 0, error = 0;

    while (opened < n + 1 && (fds[opened] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        opened++;
    error = errno;
    for (int i = 0; i < opened; i++)
        close(fds[i]);
    return opened > n ? 0 : refuse(error);
}

static long ignores_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    for (int i = 1; i < SIGRTMAX; i++)
        signal(i, SIG_IGN);
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (usleep(1000000) <= 0)
        ;
    return 0;
}

static void *spins(void *arg)
{
    for (volatile unsigned i = 0;; i++)
        ;
    return arg;
}

static long uses_up_time(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, spins, NULL);

    if (error)
        return refuse(error);
    spins(NULL);
    return 0;
}

/* --- what a child begins with */

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_readable_place(const char *path)
{
    for (const char *const *p = root_common_paths; *p; p++)
        if (is_below(path, *p))
            return true;
    return is_below(path, "/etc/libreoffice");
}

static bool is_own_place(const char *path, const struct attempt_place *p)
{
    return is_below(path, p->output) || (p->full && is_below(path, "/tmp"));
}

static bool is_strange(int fd, const struct attempt_place *p)
{
    char link[32], path[PATH_BYTES];
    struct stat st, input;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return false;
    if (S_ISSOCK(st.st_mode))
        return fd != REPORT_FD;
    if (attempt_in_program && S_ISFIFO(st.st_mode))
        return fd != STDOUT_FILENO && fd != STDERR_FILENO;
    if (S_ISCHR(st.st_mode))
        return major(st.st_rdev) != 1 || (minor(st.st_rdev) != 3 && minor(st.st_rdev) != 9);
    if (stat(p->input, &input) == 0 && input.st_dev == st.st_dev && input.st_ino == st.st_ino)
        return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return !is_own_place(path, p) &&
           ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY || !is_readable_place(path));
}

/* The engine and its libraries may have opened some of their own by now. */
static long has_strange_descriptor(const struct attempt_place *p)
{
    for (int fd = 0; fd < FILES_MAX; fd++)
        if (is_strange(fd, p)) {
            report("descriptor %d\n", fd);
            return fd;
        }
    return refuse(ENOENT);
}

/* What engine/launch.c gives, and what engines and their libraries set for themselves. */
static long has_strange_variable(void)
{
    static const char known[] =
        " PATH LANG HOME TMPDIR TZ LD_BIND_NOW DECANT_SANDBOX DECANT_LOG_LEVEL "
        "DECANT_LOG_FORMAT DECANT_JOB_MEMORY DECANT_JOB_OUTPUT DECANT_JOBS DECANT_CGROUP LC_ALL "
        "LANGUAGE CONFIGURATION_LAYERS LIBO_VERSION VIPSHOME ";

    if (getenv(ATTEMPT_VARIABLE))
        return 0;
    for (char **entry = environ; *entry; entry++) {
        char name[64];

        snprintf(name, sizeof name, " %.*s ", (int)strcspn(*entry, "="), *entry);
        if (!strstr(known, name) && !str_starts(name, " SAL_") && !str_starts(name, " URE_")) {
            report("variable %s\n", *entry);
            return 0;
        }
    }
    return refuse(ENOENT);
}

/* --- the table */

#define FUNCTION(name, call)                                                                                 \
    static long run_##name(const struct attempt_place *p)                                                    \
    {                                                                                                        \
        return (long)(call);                                                                                 \
    }
#define REFUSED(name, control, call)                 FUNCTION(name, call)
#define REFUSED_BUT(name, control, where, why, call) FUNCTION(name, call)
#define DEADLY(name, control, call)                  FUNCTION(name, call)
#define ENDLESS(name, call)                          FUNCTION(name, call)
#define ALLOWED(name, why, call)                     FUNCTION(name, call)
#include "attempts.def"
#undef REFUSED
#undef REFUSED_BUT
#undef DEADLY
#undef ENDLESS
#undef ALLOWED

#define REFUSED(name, control, call) {#name, ATTEMPT_REFUSED, control, 0, NULL, run_##name},
#define REFUSED_BUT(name, control, where, why, call)                                                         \
    {#name, ATTEMPT_REFUSED, control, where, why, run_##name},
#define DEADLY(name, control, call) {#name, ATTEMPT_DEADLY, control, 0, NULL, run_##name},
#define ENDLESS(name, call)         {#name, ATTEMPT_ENDLESS, UNSURE, 0, NULL, run_##name},
#define ALLOWED(name, why, call)    {#name, ATTEMPT_ALLOWED, OUTSIDE, 0, why, run_##name},
const struct attempt attempts[] = {
#include "attempts.def"
};
const size_t n_attempts = ARRAY_SIZE(attempts);

/* --- running one */

json_t *attempt_options(const char *name, const struct attempt_place *p)
{
    return json_pack("{ss ss ss ss ss ss si si si ss sI sI sb}", "attempt", name, "input", p->real_input,
                     "output", p->output, "outside", p->outside, "data", p->data, "neighbour", p->neighbour,
                     "victim", (int)p->victim, "zygote", (int)p->zygote, "port", p->port, "abstract",
                     p->abstract, "memory", (json_int_t)p->memory_bytes, "output_bytes",
                     (json_int_t)p->output_bytes, "full", p->full);
}

bool attempt_is_wanted(const json_t *options)
{
    return json_is_string(json_object_get(options, "attempt"));
}

/* A death of its own must not be taken for one by the sandbox, whose signal can't be caught. */
static void on_crash(int number)
{
    report("crashed %d\n", number);
    _exit(EXIT_FAILURE);
}

static void catch_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        signal(signals[i], on_crash);
}

static const struct attempt *find(const char *name)
{
    for (size_t i = 0; i < n_attempts; i++)
        if (str_eq(attempts[i].name, name))
            return &attempts[i];
    return NULL;
}

void attempt_run(const json_t *options, const char *input, const char *from)
{
    struct attempt_place p = {.input = input};
    const char *name;
    json_int_t memory, output;
    const struct attempt *a;
    int full, carry_on = false;
    long result;

    if (json_unpack((json_t *)options, "{ss ss ss ss ss ss si si si ss sI sI sb s?b}", "attempt", &name,
                    "input", &p.real_input, "output", &p.output, "outside", &p.outside, "data", &p.data,
                    "neighbour", &p.neighbour, "victim", &p.victim, "zygote", &p.zygote, "port", &p.port,
                    "abstract", &p.abstract, "memory", &memory, "output_bytes", &output, "full", &full,
                    "carry_on", &carry_on) < 0)
        _exit(EXIT_FAILURE);
    p.memory_bytes = (uint64_t)memory;
    p.output_bytes = (uint64_t)output;
    p.full = full;
    a = find(name);
    snprintf(report_path, sizeof report_path, "%s/" ATTEMPT_REPORT, p.output);
    report("began %s\n", from);
    if (!a)
        broken("no such attempt");
    if (!carry_on)
        catch_crashes();
    result = a->run(&p);
    if (result < 0)
        report("refused %s\n", strerrorname_np(errno));
    else
        report("succeeded\n");
    if (!carry_on)
        _exit(EXIT_SUCCESS);
}
