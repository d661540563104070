/* The order: no_new_privs, Landlock, seccomp, the proof. What must end the process is proved by a child that
 * goes the same way first; everything else is attempted by the process itself, which refuses to go on when
 * something succeeds.
 *
 * A name in tcp:HOST:PORT is looked up anew at each connection, by the C library in this process: it gets the
 * resolver's files to read, and port 53 for long answers. An address (or unix:) needs nothing of that. The
 * courier, which connects to strangers, has the same.
 *
 * Whom sentinels will name is not known yet, and a rule can't be added later: so the ports of all that they
 * may name are a setting. */
#include "sandbox/confine.h"

#include "core/log.h"
#include "core/sentinels.h"
#include "core/str.h"
#include "sandbox/landlock.h"
#include "sandbox/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { DNS_PORT = 53, PROBE_PORT = 1, EXIT_NOT_CONFINED = 1 };

/* LeakSanitizer looks at its own threads at the end, by ptrace, and reads what is mapped. */
#if defined(__SANITIZE_ADDRESS__)
#include "sandbox/policy_sanitizers.h"
static const char *const extra_policy = policy_sanitizers;
static const char *const extra_paths[] = {"/proc", "/proc/self/exe", NULL};
#else
static const char *const extra_policy = "ptrace: kill\n";
static const char *const extra_paths[] = {NULL};
#endif

/* The C library counts processors by the first, and takes the time zone from the second; some library takes
 * random bytes from the third. */
static const char *const common_paths[] = {"/sys/devices/system/cpu/online", "/etc/localtime", "/dev/urandom",
                                           NULL};
static const char *const resolver_paths[] = {"/etc/resolv.conf",
                                             "/etc/hosts",
                                             "/etc/nsswitch.conf",
                                             "/etc/host.conf",
                                             "/etc/gai.conf",
                                             "/etc/services",
                                             "/etc/ld.so.cache",
                                             "/lib",
                                             "/usr/lib",
                                             "/lib64",
                                             NULL};

static const char landlock_missing[] =
    "Landlock is not in force: a Linux 5.13 or later with landlock in its list of security modules (lsm=) is "
    "needed.";
static const char seccomp_missing[] = "Seccomp filters can't be had: the kernel needs CONFIG_SECCOMP_FILTER, "
                                      "and a systemd unit must not forbid the call.";
static const char killing_fails[] = "The confinement leaks: a call that ends the process didn't.";

/* --- Landlock */

static int allow_all(int ruleset, int abi, const char *const *paths)
{
    int r = 0;

    for (; r == 0 && *paths; paths++)
        r = landlock_allow(ruleset, abi, *paths, LANDLOCK_READ, true);
    return r;
}

/* The port of tcp:HOST:PORT, or 0; whether HOST is a name. */
static unsigned tcp_port(const char *url, bool *ret_named)
{
    const char *colon = url && str_starts(url, "tcp:") ? strrchr(url, ':') : NULL;
    unsigned char address[sizeof(struct in6_addr)];
    uint64_t port = 0;
    char host[256];

    if (!colon || str_to_u64(colon + 1, 1, 65535, &port) < 0)
        return 0;
    snprintf(host, sizeof host, "%.*s", (int)(colon - url) - 4, url + 4);
    *ret_named = host[0] != '[' && inet_pton(AF_INET, host, address) != 1;
    return (unsigned)port;
}

/* *named stays true when it is. */
static int allow_peer(const char *url, int ruleset, int abi, bool *named)
{
    bool is_name = false;
    unsigned port = tcp_port(url, &is_name);

    *named = *named || is_name;
    return port ? landlock_allow_connect(ruleset, abi, port) : 0;
}

static int allow_ports(const char *ports, int ruleset, int abi)
{
    unsigned port;
    int r = 0;

    while (r == 0 && ports && (ports = ports_next(ports, &port)))
        r = landlock_allow_connect(ruleset, abi, port);
    return r;
}

/* They, and whom they may name. */
static int allow_sentinels(const char *url, const char *ports, int ruleset, int abi, bool *named)
{
    struct sentinels s;
    int r = sentinels_parse(url, &s);

    for (size_t i = 0; r == 0 && i < s.n; i++)
        r = allow_peer(s.places[i], ruleset, abi, named);
    return r < 0 ? r : allow_ports(ports, ruleset, abi);
}

static int allow_peers(const struct confinement *c, int ruleset, int abi)
{
    bool named = c->outgoing;
    int r = allow_ports(c->outgoing, ruleset, abi);

    for (size_t i = 0; r == 0 && i < CONFINE_PEERS_MAX; i++)
        if (c->peers[i] && sentinels_meant(c->peers[i]))
            r = allow_sentinels(c->peers[i], c->ports, ruleset, abi, &named);
        else
            r = allow_peer(c->peers[i], ruleset, abi, &named);
    if (r == 0 && named)
        r = landlock_allow_connect(ruleset, abi, DNS_PORT);
    return r == 0 && named ? allow_all(ruleset, abi, resolver_paths) : r;
}

static int enter_landlock(const struct confinement *c, int abi)
{
    _cleanup_close_ int ruleset = landlock_begin(abi);
    int r = ruleset < 0 ? ruleset : 0;

    if (r == 0 && c->storage)
        r = landlock_allow(ruleset, abi, c->storage, LANDLOCK_READ_WRITE, false);
    if (r == 0 && c->readable)
        r = landlock_allow(ruleset, abi, c->readable, LANDLOCK_READ, false);
    if (r == 0)
        r = allow_peers(c, ruleset, abi);
    if (r == 0)
        r = allow_all(ruleset, abi, common_paths);
    if (r == 0)
        r = allow_all(ruleset, abi, extra_paths);
    return r == 0 ? landlock_enter(ruleset) : r;
}

/* --- seccomp */

static int compile(const struct confinement *c, struct policy *ret, const char **ret_why)
{
    static char mistake[64];
    _cleanup_free_ char *text = NULL;
    unsigned line;
    int r;

    if (asprintf(&text, "%s\n%s", c->policy, extra_policy) < 0) {
        text = NULL;
        *ret_why = "There is no memory.";
        return -ENOMEM;
    }
    r = policy_compile(text, ret, &line);
    snprintf(mistake, sizeof mistake, "The seccomp policy can't be compiled: line %u.", line);
    *ret_why = mistake;
    return r;
}

static int enter(const struct confinement *c, int abi, const struct policy *policy, const char **ret_why)
{
    int r;

    *ret_why = landlock_missing;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = enter_landlock(c, abi);
    if (r < 0)
        return r;
    *ret_why = seccomp_missing;
    return policy_enter(policy, getpid(), false);
}

/* --- the proof */

static bool opens_canary(int abi)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || open("/", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool writes_outside(int abi)
{
    return open("/var/tmp/decant-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ||
           open("/tmp/decant-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

/* A program that isn't there: the filter must have answered before anybody looks. */
static bool executes(int abi)
{
    char *const none[] = {NULL};

    execve("", none, none);
    if (errno == ENOENT)
        return true;
    return syscall(SYS_execveat, -1, "", none, none, 0) < 0 && errno != EACCES;
}

static bool makes_process(int abi)
{
#if defined(__SANITIZE_ADDRESS__)
    return false; /* LeakSanitizer must */
#endif
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool signals_others(int abi)
{
#if defined(__SANITIZE_ADDRESS__)
    return false; /* it stops its threads */
#endif
    pid_t parent = getppid();

    /* In a container of its own it is process 1 itself, and its parent is 0, which kill() takes for its
     * group. */
    return (parent > 0 && kill(parent, 0) == 0) || (getpid() != 1 && kill(1, 0) == 0);
}

static bool listens(int abi)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && (bind(fd, (struct sockaddr *)&any, sizeof any) == 0 || listen(fd, 1) == 0);
}

/* Only Landlock's fourth version (Linux 6.7) knows ports. */
static bool connects_elsewhere(int abi)
{
    struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(PROBE_PORT)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || abi < LANDLOCK_ABI_PORTS)
        return false;
    return connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0 || errno != EACCES;
}

static bool makes_raw_socket(int abi)
{
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 ||
           socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static const struct attempt {
    bool (*succeeds)(int abi);
    const char *sentence;
} attempts[] = {
    {opens_canary, "The confinement leaks: a file outside the storage could be opened."},
    {writes_outside, "The confinement leaks: a file outside the storage could be written."},
    {executes, "The confinement leaks: a program could be executed."},
    {makes_process, "The confinement leaks: a process could be made."},
    {signals_others, "The confinement leaks: another process could be reached."},
    {listens, "The confinement leaks: a listener could be made."},
    {connects_elsewhere, "The confinement leaks: a connection elsewhere could be made."},
    {makes_raw_socket, "The confinement leaks: a raw socket could be made."},
};

/* A child that can't get that far says nothing: the process itself is about to find out why. */
static int prove_deadly(const struct confinement *c, int abi, const struct policy *policy)
{
    const char *why;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (enter(c, abi, policy, &why) < 0)
            _exit(EXIT_NOT_CONFINED);
        syscall(SYS_io_uring_setup, 1, NULL);
        _exit(EXIT_SUCCESS);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFSIGNALED(status) || WEXITSTATUS(status) == EXIT_NOT_CONFINED ? 0 : -EPERM;
}

static int prove(int abi, const char **ret_why)
{
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
        if (attempts[i].succeeds(abi)) {
            *ret_why = attempts[i].sentence;
            return -EPERM;
        }
    return 0;
}

#ifdef DECANT_UNCONFINED
static const bool unconfined = true;
#else
static const bool unconfined = false;
#endif

void confine_prepare(void)
{
    static struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1), /* by any architecture's numbers */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct policy no_io_uring = {program, ARRAY_SIZE(program)};

    if (unconfined || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return;
    (void)!policy_enter(&no_io_uring, getpid(), false);
}

int confine_process(const struct confinement *c, const char **ret_why)
{
    struct policy policy;
    int abi = landlock_abi(), r;

    if (unconfined) {
        log_warn("built without confinement (-Dconfine=false): not for use");
        return 0;
    }
    *ret_why = landlock_missing;
    if (abi < 0)
        return abi;
    r = compile(c, &policy, ret_why);
    if (r < 0)
        return r;
    *ret_why = killing_fails;
    r = prove_deadly(c, abi, &policy);
    if (r == 0)
        r = enter(c, abi, &policy, ret_why);
    policy_free(&policy);
    return r < 0 ? r : prove(abi, ret_why);
}
