/* Requests and answers take turns on one socket pair, and both sides block: starting a program is a fork, and
 * who asks for the status of an engine has seen its end already. KILL has no answer, and waits for none: the
 * socket holds some two hundred of them. Being in the same order as the others, it comes before a REAP of the
 * same process. */
#include "engine/launcher.h"
#include "engine/launch.h"

#include "core/msg.h"
#include "core/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum message {
    LAUNCH = 1, /* str name */
    LAUNCHED,   /* u64 errno, and when that is 0: u64 pid; fds: pidfd, control */
    REAP,       /* u64 pid */
    REAPED,     /* u64 errno, u64 wait status */
    KILL,       /* fd: pidfd */
};

enum { SOCKET_FD = 3, PROGRAMS_FD = 4, EXIT_LOST = 1 };

struct launcher {
    pid_t pid;
    int sock;
    bool lost;
};

/* --- the launcher's side */

static void put_launched(struct msg *answer, const struct launched *engine, int error)
{
    msg_init(answer, LAUNCHED);
    msg_put_u64(answer, (uint64_t)-error);
    if (error < 0)
        return;
    msg_put_u64(answer, (uint64_t)engine->pid);
    msg_put_fd(answer, engine->pidfd);
    msg_put_fd(answer, engine->control);
}

static int answer_launch(const struct settings *settings, struct msg *request)
{
    const char *name = msg_get_str(request);
    struct launched engine = {.pidfd = -1, .control = -1};
    _cleanup_msg_ struct msg answer = {0};
    int r;

    /* A file beside the others, whatever was asked for. */
    if (msg_done(request) < 0 || !*name || strspn(name, "abcdefghijklmnopqrstuvwxyz") != strlen(name))
        return -EBADMSG;
    r = launch_engine(settings, PROGRAMS_FD, name, &engine.pid, &engine.control);
    if (r == 0 && (engine.pidfd = (int)syscall(SYS_pidfd_open, engine.pid, 0)) < 0) {
        r = -errno;
        kill(engine.pid, SIGKILL);
        waitpid(engine.pid, NULL, 0);
    }
    put_launched(&answer, &engine, r);
    r = msg_send(SOCKET_FD, &answer);
    cleanup_close(&engine.pidfd);
    cleanup_close(&engine.control);
    return r;
}

static int answer_reap(struct msg *request)
{
    pid_t pid = (pid_t)msg_get_u64(request, INT32_MAX);
    _cleanup_msg_ struct msg answer = {0};
    int status = 0, error = 0;

    if (msg_done(request) < 0 || pid <= 0)
        return -EBADMSG;
    while (waitpid(pid, &status, 0) < 0 && (error = errno) == EINTR)
        ;
    msg_init(&answer, REAPED);
    msg_put_u64(&answer, (uint64_t)error);
    msg_put_u64(&answer, (uint64_t)(unsigned)status);
    return msg_send(SOCKET_FD, &answer);
}

/* Whom it can't kill is gone already, or not of our user: then it is none of ours. */
static int obey_kill(struct msg *request)
{
    _cleanup_close_ int pidfd = msg_take_fd(request);

    if (msg_done(request) < 0 || pidfd < 0)
        return -EBADMSG;
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    return 0;
}

static int answer(const struct settings *settings)
{
    struct msg request;
    int r = msg_recv(SOCKET_FD, &request);

    if (r < 0)
        return r;
    r = request.type == LAUNCH ? answer_launch(settings, &request)
        : request.type == REAP ? answer_reap(&request)
        : request.type == KILL ? obey_kill(&request)
                               : -EBADMSG;
    msg_free(&request);
    return r;
}

/* Only the socket and the programs' folder stay open. Signals for the whole group, as Ctrl-C, are its maker's
 * to obey; they are blocked and not ignored, which engines would inherit. */
static int settle(const struct privilege_ids *ids, int sock, int programs, pid_t parent)
{
    static const char title[] = "decant-launch";
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_DFL);
    /* As process listings show it: argv[0] is as long as it is. */
    strncpy(program_invocation_name, title, strlen(program_invocation_name));
    prctl(PR_SET_NAME, title);
    if (dup2(sock, SOCKET_FD) < 0 || dup2(programs, PROGRAMS_FD) < 0 ||
        syscall(SYS_close_range, PROGRAMS_FD + 1, ~0U, 0) < 0 || fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(PROGRAMS_FD, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    if (ids && privilege_become(ids) < 0)
        return -EPERM;
    /* After the change of user, which clears both. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || privilege_forbid_core() < 0)
        return -errno;
    return getppid() == parent ? 0 : -ESRCH;
}

_noreturn_ static void be_launcher(const struct settings *settings, const struct privilege_ids *ids, int sock,
                                   int programs, pid_t parent)
{
    if (settle(ids, sock, programs, parent) < 0)
        _exit(EXIT_LOST);
    while (answer(settings) == 0)
        ;
    _exit(EXIT_SUCCESS);
}

/* --- its maker's side */

/* Above the numbers that settle() assigns, or assigning one would close another. */
static int raise_fd(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, PROGRAMS_FD + 1);

    if (high < 0)
        return -errno;
    close(*fd);
    *fd = high;
    return 0;
}

int launcher_start(const struct settings *settings, struct launcher **ret)
{
    _cleanup_close_ int ours = -1, theirs = -1, programs = launch_open_programs(settings);
    struct launcher *l;
    struct privilege_ids ids;
    pid_t parent = getpid();
    bool is_root = geteuid() == 0;
    int pair[2], r = 0;

    if (programs < 0)
        return programs;
    if (is_root)
        r = privilege_lookup(settings->engine_user, &ids.uid, &ids.gid);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ours = pair[0];
    theirs = pair[1];
    if (raise_fd(&theirs) < 0 || raise_fd(&programs) < 0)
        return -EMFILE;
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->pid = fork();
    if (l->pid == 0) {
        free(l); /* that is for who talks to one */
        be_launcher(settings, is_root ? &ids : NULL, theirs, programs, parent);
    }
    if (l->pid < 0) {
        free(l);
        return -errno;
    }
    l->sock = TAKE_FD(ours);
    *ret = l;
    return 0;
}

void launcher_free(struct launcher *l)
{
    if (!l)
        return;
    close(l->sock);
    while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(l);
}

bool launcher_lost(const struct launcher *l)
{
    return l->lost;
}

/* After 0 the caller frees the answer, whose errno was 0. */
static int ask(struct launcher *l, const struct msg *request, uint32_t type, struct msg *ret_answer)
{
    int error, r = l->lost ? -EPIPE : msg_send(l->sock, request);

    if (r == 0)
        r = msg_recv(l->sock, ret_answer);
    if (r < 0) {
        l->lost = true;
        return r;
    }
    error = (int)msg_get_u64(ret_answer, 4095);
    if (ret_answer->type == type && error == 0)
        return 0;
    l->lost = l->lost || ret_answer->type != type;
    msg_free(ret_answer);
    return error ? -error : -EBADMSG;
}

int launcher_launch(struct launcher *l, const char *name, struct launched *ret)
{
    _cleanup_msg_ struct msg request;
    struct msg answer;
    int r;

    msg_init(&request, LAUNCH);
    msg_put_str(&request, name);
    r = ask(l, &request, LAUNCHED, &answer);
    if (r < 0)
        return r;
    ret->pid = (pid_t)msg_get_u64(&answer, INT32_MAX);
    ret->pidfd = msg_take_fd(&answer);
    ret->control = msg_take_fd(&answer);
    r = msg_done(&answer);
    msg_free(&answer);
    return r;
}

int launcher_reap(struct launcher *l, pid_t pid, int *ret_status)
{
    _cleanup_msg_ struct msg request;
    struct msg answer;
    int r;

    msg_init(&request, REAP);
    msg_put_u64(&request, (uint64_t)pid);
    r = ask(l, &request, REAPED, &answer);
    if (r < 0)
        return r;
    *ret_status = (int)msg_get_u64(&answer, UINT32_MAX);
    r = msg_done(&answer);
    msg_free(&answer);
    return r;
}

void launcher_kill(struct launcher *l, int pidfd)
{
    _cleanup_msg_ struct msg request = {0};

    if (pidfd < 0 || l->lost)
        return;
    msg_init(&request, KILL);
    msg_put_fd(&request, pidfd);
    if (msg_send(l->sock, &request) < 0)
        l->lost = true;
}
