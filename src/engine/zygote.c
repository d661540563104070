/* The zygote's loop: one control socket to the worker, one pidfd per child.
 *
 * It decides nothing: it makes children, and says when they are gone. Deadlines and kills are the worker's,
 * which holds the pidfds too. Children are watched by pidfd rather than SIGCHLD, so that no library's signal
 * handling can get in the way. A message that doesn't decode ends the zygote: its worker is no longer to be
 * trusted, or of another version. */
#include "engine/zygote.h"
#include "engine/protocol.h"

#include "core/log.h"
#include "core/msg.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct zygote_child {
    uint64_t run;
    pid_t pid;
    int pidfd;
};

enum { CHILDREN_MAX = 1024 };

void zygote_refuse(int control, const char *why)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_REFUSED);
    msg_put_str(&m, why);
    if (msg_send(control, &m) < 0)
        log_error("the worker could not be told", LOG_S("why", why));
}

/* Never leaves a child behind: each is pid 1 of its namespace, or dies with its parent. */
_noreturn_ static void end(struct zygote *z, int status)
{
    for (size_t i = 0; i < z->n_children; i++)
        syscall(SYS_pidfd_send_signal, z->children[i].pidfd, SIGKILL, NULL, 0);
    _exit(status);
}

static void send_or_end(struct zygote *z, const struct msg *m)
{
    int r = msg_send(z->control, m);

    if (r == -EPIPE)
        end(z, EXIT_SUCCESS);
    if (r < 0) {
        log_error("the worker can't be reached", LOG_S("engine", z->engine->name), LOG_E(r));
        end(z, EXIT_FAILURE);
    }
}

static uint64_t timeval_ms(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

static void tell_exited(struct zygote *z, uint64_t run, int status, const struct rusage *usage)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_EXITED);
    msg_put_u64(&m, run);
    msg_put_u64(&m, (uint64_t)status);
    msg_put_u64(&m, timeval_ms(usage->ru_utime) + timeval_ms(usage->ru_stime));
    msg_put_u64(&m, (uint64_t)usage->ru_maxrss);
    send_or_end(z, &m);
}

static void reap(struct zygote *z, size_t index)
{
    struct zygote_child child = z->children[index];
    struct rusage usage;
    int status;

    if (wait4(child.pid, &status, WNOHANG, &usage) != child.pid)
        return;
    close(child.pidfd);
    z->children[index] = z->children[--z->n_children];
    tell_exited(z, child.run, status, &usage);
}

static int make_room(struct zygote *z)
{
    size_t capacity = z->capacity ? z->capacity * 2 : 16;
    struct zygote_child *grown;

    if (z->n_children < z->capacity)
        return 0;
    if (capacity > CHILDREN_MAX)
        return -EAGAIN;
    grown = reallocarray(z->children, capacity, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    z->children = grown;
    z->capacity = capacity;
    return 0;
}

static int spawn(struct zygote *z, uint64_t run, struct sandbox_job *sandboxed, struct zygote_job *job)
{
    _cleanup_msg_ struct msg m;
    pid_t pid;
    int pidfd, r = make_room(z);

    msg_init(&m, ENGINE_SPAWNED);
    if (r < 0)
        return r;
    r = sandbox_spawn(z->sandbox, sandboxed, &pid, &pidfd);
    if (r < 0)
        return r;
    if (r == 0) {
        job->input_path = sandboxed->input_path;
        job->output_path = sandboxed->output_path;
        job->report_fd = sandboxed->keep_fd;
        zygote_convert(z->engine, job);
    }
    z->children[z->n_children++] = (struct zygote_child){.run = run, .pid = pid, .pidfd = pidfd};
    msg_put_u64(&m, run);
    msg_put_u64(&m, (uint64_t)pid);
    msg_put_fd(&m, pidfd);
    send_or_end(z, &m);
    return 0;
}

static int run(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX);
    /* One declaration a field: initialisers within braces have no order. */
    const char *from = msg_get_str(m), *to = msg_get_str(m), *options = msg_get_str(m);
    const char *input = msg_get_str(m), *output = msg_get_str(m);
    uint64_t cpu_s = msg_get_u64(m, UINT32_MAX);
    _cleanup_close_ int job_fd = msg_take_fd(m), report_fd = msg_take_fd(m);
    struct sandbox_job sandboxed = {
        .job_fd = job_fd, .input = input, .output = output, .keep_fd = report_fd, .cpu_s = cpu_s};
    struct zygote_job job = {.from = from, .to = to, .options = options};
    int r = msg_done(m);

    if (r < 0)
        return r;
    r = spawn(z, id, &sandboxed, &job);
    if (r < 0) {
        const struct rusage none = {0};

        log_error("a child could not be made", LOG_S("engine", z->engine->name), LOG_E(r));
        tell_exited(z, id, SANDBOX_EXIT_SETUP << 8, &none);
    }
    return 0;
}

static void receive(struct zygote *z)
{
    struct msg m;
    int r = msg_recv(z->control, &m);

    if (r == -EAGAIN)
        return;
    if (r == -EPIPE)
        end(z, EXIT_SUCCESS);
    if (r == 0) {
        r = m.type == ENGINE_RUN ? run(z, &m) : -EBADMSG;
        msg_free(&m);
    }
    if (r < 0) {
        log_error("the worker is not understood", LOG_S("engine", z->engine->name), LOG_E(r));
        end(z, EXIT_FAILURE);
    }
}

static size_t count_threads(void)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc/self/task");
    size_t n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

static void tell_ready(struct zygote *z)
{
    _cleanup_msg_ struct msg m;
    char version[128] = "";

    if (z->engine->version)
        z->engine->version(version, sizeof version);
    msg_init(&m, ENGINE_READY);
    msg_put_u64(&m, sandbox_layers(z->sandbox));
    msg_put_str(&m, version);
    send_or_end(z, &m);
}

static void turn(struct zygote *z)
{
    struct pollfd fds[1 + CHILDREN_MAX];
    size_t n = z->n_children;

    fds[0] = (struct pollfd){.fd = z->control, .events = POLLIN};
    for (size_t i = 0; i < n; i++)
        fds[i + 1] = (struct pollfd){.fd = z->children[i].pidfd, .events = POLLIN};
    if (poll(fds, n + 1, -1) < 0) {
        if (errno == EINTR)
            return;
        log_error("poll failed", LOG_E(-errno));
        end(z, EXIT_FAILURE);
    }
    /* From the back, as reap() fills the gap with the last. */
    for (size_t i = n; i-- > 0;)
        if (fds[i + 1].revents)
            reap(z, i);
    if (fds[0].revents)
        receive(z);
}

void zygote_serve(void *zygote)
{
    struct zygote *z = zygote;
    size_t threads = count_threads();

    if (threads != 1) {
        log_error("the warm engine has more than one thread", LOG_S("engine", z->engine->name),
                  LOG_U("threads", threads));
        zygote_refuse(z->control, threads
                                      ? "the library left threads running, so it can't be forked"
                                      : "/proc is not mounted, so the library's threads can't be counted");
        end(z, EXIT_FAILURE);
    }
    tell_ready(z);
    for (;;)
        turn(z);
}
