/* The zygote's loop: one control socket to the worker, one pidfd per child.
 *
 * It decides nothing about jobs: it makes children, and says when they are gone. Deadlines and kills are the
 * worker's, which holds the pidfds too. Children are watched by pidfd rather than SIGCHLD, so that no
 * library's signal handling can get in the way. A message that doesn't decode ends the zygote: its worker is
 * no longer to be trusted, or of another version.
 *
 * Children are made ahead, while there is nothing else to do: a clone of a quarter of a gigabyte takes longer
 * than many a conversion. Such a spare waits for one job, and is as fresh as one made on demand. There is one
 * from the first job on. A job that finds none raises their number, as jobs then come in bursts; those that
 * weren't needed for a period are given back. */
#include "engine/zygote.h"
#include "engine/heap.h"
#include "engine/protocol.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/msg.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct zygote_child {
    uint64_t run; /* 0: a spare */
    struct sandbox_child process;
    int channel; /* a spare's, for its job; -1 when it is no longer to be had */
};

enum { CHILDREN_MAX = 1024, PERIOD_MS = 10000 };

void zygote_refuse(int control, bool sandbox, const char *why)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_REFUSED);
    msg_put_u64(&m, sandbox);
    msg_put_str(&m, why);
    if (msg_send(control, &m) < 0)
        log_error("the worker could not be told", LOG_S("why", why));
}

/* Never leaves a child behind: each is pid 1 of its namespace, or dies with its parent. */
_noreturn_ static void end(struct zygote *z, int status)
{
    for (size_t i = 0; i < z->n_children; i++)
        syscall(SYS_pidfd_send_signal, z->children[i].process.pidfd, SIGKILL, NULL, 0);
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

void zygote_put_usage(struct msg *m, const struct rusage *usage)
{
    msg_put_u64(m, timeval_ms(usage->ru_utime) + timeval_ms(usage->ru_stime));
    msg_put_u64(m, (uint64_t)usage->ru_maxrss);
}

static void tell_exited(struct zygote *z, uint64_t run, int status, const struct rusage *usage,
                        bool out_of_memory)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_EXITED);
    msg_put_u64(&m, run);
    msg_put_u64(&m, (uint64_t)status);
    zygote_put_usage(&m, usage);
    msg_put_u64(&m, out_of_memory);
    send_or_end(z, &m);
}

static void reap(struct zygote *z, size_t index)
{
    struct zygote_child child = z->children[index];
    struct rusage usage;
    bool out_of_memory;
    int status;

    if (wait4(child.process.pid, &status, WNOHANG, &usage) != child.process.pid)
        return;
    out_of_memory = sandbox_collect(z->sandbox, &child.process);
    close(child.process.pidfd);
    cleanup_close(&child.channel);
    z->children[index] = z->children[--z->n_children];
    if (child.run)
        tell_exited(z, child.run, status, &usage, out_of_memory);
    else if (child.channel >= 0)
        log_warn("a waiting child ended", LOG_S("engine", z->engine->name), LOG_U("status", status));
}

/* --- making children */

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

/* The last of the children is then a new spare. */
static int make_spare(struct zygote *z)
{
    _cleanup_close_ int ours = -1, theirs = -1;
    struct sandbox_child process;
    int pair[2], r = make_room(z);

    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ours = pair[0];
    theirs = pair[1];
    r = sandbox_spawn(z->sandbox, &theirs, &process);
    if (r == -ESTALE) {
        log_error("a job's cgroup is gone", LOG_S("engine", z->engine->name));
        end(z, EXIT_FAILURE);
    }
    if (r < 0)
        return r;
    if (r == 0)
        zygote_child_main(z->engine, z->sandbox, theirs);
    z->children[z->n_children++] = (struct zygote_child){.process = process, .channel = TAKE_FD(ours)};
    return 0;
}

static bool is_spare(const struct zygote_child *child)
{
    return child->run == 0 && child->channel >= 0;
}

static size_t count_spares(const struct zygote *z)
{
    size_t n = 0;

    for (size_t i = 0; i < z->n_children; i++)
        n += is_spare(&z->children[i]);
    return n;
}

/* The oldest, as the others may still be busy with getting ready. */
static struct zygote_child *find_spare(const struct zygote *z)
{
    for (size_t i = 0; i < z->n_children; i++)
        if (is_spare(&z->children[i]))
            return &z->children[i];
    return NULL;
}

/* Gives a job to a spare, or to a child made for it. NULL, and -errno in `ret_error`, when neither could be
 * had. */
static struct zygote_child *hand_over(struct zygote *z, const struct msg *m, int *ret_error)
{
    for (;;) {
        struct zygote_child *child = find_spare(z);
        bool fresh = !child;
        int r = fresh ? make_spare(z) : 0;

        *ret_error = r;
        if (r < 0)
            return NULL;
        if (fresh)
            child = &z->children[z->n_children - 1];
        r = msg_send(child->channel, m);
        close(TAKE_FD(child->channel));
        if (r == 0)
            return child;
        *ret_error = r;
        /* A spare may have died unseen. */
        if (fresh)
            return NULL;
    }
}

static void tell_spawned(struct zygote *z, const struct zygote_child *child)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_SPAWNED);
    msg_put_u64(&m, child->run);
    msg_put_u64(&m, (uint64_t)child->process.pid);
    msg_put_fd(&m, child->process.pidfd);
    send_or_end(z, &m);
}

/* --- how many wait */

static void count_job(struct zygote *z, size_t idle)
{
    if (idle == 0 && z->spares_wanted < z->spares_max)
        z->spares_wanted++;
    if (idle > 0 && idle - 1 < z->least_idle)
        z->least_idle = idle - 1;
    z->refill = true;
}

static void begin_period(struct zygote *z)
{
    z->period_ends_ms = clock_mono_ms() + PERIOD_MS;
    z->least_idle = count_spares(z);
}

static void end_period(struct zygote *z)
{
    size_t spares = count_spares(z);

    /* Without a job in the period they are all idle; one stays. */
    if (z->spares_wanted > 1)
        z->spares_wanted = z->spares_wanted > z->least_idle + 1 ? z->spares_wanted - z->least_idle : 1;
    for (; spares > z->spares_wanted; spares--) {
        struct zygote_child *child = find_spare(z);

        syscall(SYS_pidfd_send_signal, child->process.pidfd, SIGKILL, NULL, 0);
        close(TAKE_FD(child->channel));
    }
    begin_period(z);
}

static void refill(struct zygote *z)
{
    int r = count_spares(z) < z->spares_wanted ? make_spare(z) : 0;

    if (r < 0)
        log_warn("a child could not be made ahead", LOG_S("engine", z->engine->name), LOG_E(r));
    /* A spare that dies of itself is not made again until a job has come: this loop must not spin. */
    if (r < 0 || count_spares(z) >= z->spares_wanted)
        z->refill = false;
}

/* --- the worker's messages */

static int run(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX);
    size_t idle = count_spares(z);
    struct zygote_child *child;
    int r = msg_done(m);

    if (r < 0 || id == 0 || m->n_fds != 1)
        return -EBADMSG;
    child = hand_over(z, m, &r);
    if (!child) {
        const struct rusage none = {0};

        log_error("a child could not be made", LOG_S("engine", z->engine->name), LOG_E(r));
        tell_exited(z, id, SANDBOX_EXIT_SETUP << 8, &none, false);
        return 0;
    }
    child->run = id;
    tell_spawned(z, child);
    count_job(z, idle);
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
    msg_put_u64(&m, ENGINE_PROTOCOL);
    msg_put_u64(&m, sandbox_layers(z->sandbox));
    msg_put_str(&m, version);
    send_or_end(z, &m);
}

static int patience_ms(const struct zygote *z)
{
    uint64_t now = clock_mono_ms();

    if (z->refill)
        return 0;
    if (z->spares_wanted <= 1)
        return -1;
    return z->period_ends_ms > now ? (int)(z->period_ends_ms - now) : 0;
}

static void turn(struct zygote *z)
{
    struct pollfd fds[1 + CHILDREN_MAX];
    size_t n = z->n_children;
    int ready;

    fds[0] = (struct pollfd){.fd = z->control, .events = POLLIN};
    for (size_t i = 0; i < n; i++)
        fds[i + 1] = (struct pollfd){.fd = z->children[i].process.pidfd, .events = POLLIN};
    ready = poll(fds, n + 1, patience_ms(z));
    if (ready < 0) {
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
    if (ready == 0 && z->refill)
        refill(z);
    if (clock_mono_ms() >= z->period_ends_ms)
        end_period(z);
}

void zygote_serve(void *zygote)
{
    struct zygote *z = zygote;
    size_t threads = count_threads();

    if (threads != 1) {
        log_error("the warm engine has more than one thread", LOG_S("engine", z->engine->name),
                  LOG_U("threads", threads));
        zygote_refuse(z->control, false,
                      threads ? "the library left threads running, so it can't be forked"
                              : "/proc is not mounted, so the library's threads can't be counted");
        end(z, EXIT_FAILURE);
    }
    heap_settle();
    tell_ready(z);
    begin_period(z);
    for (;;)
        turn(z);
}
