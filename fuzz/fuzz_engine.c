/* What engines say to the worker. An input is a conversation about one run: packets of the child and of its
 * zygote, and what may happen in between. Each is a byte that says whose, a byte with the type, one with the
 * length, and the fields. However they lie, the run ends exactly once, and what is told of it is harmless. */
#include "fuzz.h"

#include "core/str.h"
#include "engine/client_parts.h"
#include "engine/launcher.h"
#include "engine/protocol.h"
#include "format/format.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum speaker { CHILD, CHILD_WITH_FD, SPAWNED, EXITED, CANCEL, ZYGOTE_DIES, CHILD_CLOSES, TURN, N_SPEAKERS };
enum { TIMEOUT_MS = 1000000, TIMEOUT_MOST_MS = 9000000, PAGE_MS = 1000, MEMORY = 1 << 30 };

static struct {
    uv_loop_t loop;
    struct engine_pool pool;
    struct zygote zygote;
    struct engine_run *run; /* NULL: it is over */
    int peer;               /* the zygote's end of the control socket */
    int child;              /* the child's end of the report; -1: there is none */
    unsigned results, ends;
    unsigned said_results; /* by this child */
    bool cancelled, said_ok;
} world;

/* --- what client.c does with zygotes, in little */

/* A zygote takes what is sent to it, and the child its job, which must be what was asked for. */
static void take_run(void)
{
    struct msg run, job;

    require(msg_recv(world.peer, &run) == 0 && run.type == ENGINE_RUN);
    if (world.child >= 0)
        close(world.child);
    world.child = msg_take_fd(&run);
    world.said_results = 0;
    msg_free(&run);
    require(msg_recv(world.child, &job) == 0 && job.type == ENGINE_JOB);
    require(msg_get_u64(&job, UINT64_MAX) == ENGINE_CONVERT);
    require(str_eq(msg_get_str(&job), "pdf") && str_eq(msg_get_str(&job), "png"));
    msg_free(&job);
}

void zygote_pump(struct zygote *z)
{
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->state == QUEUED) {
            require(run_send(r) == 0);
            take_run();
        }
}

struct zygote *zygote_find(const struct engine_pool *p, const char *name)
{
    return p->zygotes;
}

void zygote_dismiss_retired(struct engine_pool *p)
{
}

bool launcher_lost(const struct launcher *l)
{
    return false;
}

/* Nobody is behind the descriptors. */
void launcher_kill(struct launcher *l, int pidfd)
{
}

static void zygote_dies(void)
{
    if (world.run && (world.run->state == SENT || world.run->state == RUNNING))
        run_orphan(world.run);
}

/* --- what the run tells */

/* Names as who shows them may take them. */
static void require_harmless_fonts(const struct font_list *fonts)
{
    require(!fonts || (fonts->known && fonts->n <= FONTS_MAX));
    for (size_t i = 0; fonts && i < fonts->n; i++) {
        const char *const names[] = {fonts->list[i].font, fonts->list[i].used};

        for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
            size_t len = strnlen(names[k], FONT_NAME_MAX + 1);

            require(len > 0 && len <= FONT_NAME_MAX && utf8_valid(names[k], len));
            require(!strpbrk(names[k], "\n\r\t\x1b\x7f"));
        }
    }
}

static void require_harmless(const struct engine_report *report)
{
    require(report->outcome < OUTCOME_COUNT_ && report->version && report->output_name &&
            report->output_format);
    require_harmless_fonts(report->fonts);
    require(report->timeout_ms >= TIMEOUT_MS && report->timeout_ms <= TIMEOUT_MOST_MS);
    if (report->outcome == OUTCOME_OK)
        require(world.said_ok && *report->output_name && *report->output_name != '.' &&
                !strpbrk(report->output_name, "/\\ \n") && format_by_id(report->output_format));
    else if (!world.said_ok)
        require(!*report->output_name && !*report->output_format);
}

static void on_progress(void *arg, unsigned percent)
{
    require(percent <= 99 && world.ends == 0);
}

static void on_result(void *arg, const struct engine_report *report)
{
    require(world.results++ == 0 && world.ends == 0 && report->outcome == OUTCOME_OK);
    require_harmless(report);
}

static void on_done(void *arg, const struct engine_report *report)
{
    require(world.ends++ == 0);
    require(report->outcome != OUTCOME_OK || world.said_results == 1);
    require_harmless(report);
    require(!world.cancelled || report->outcome == OUTCOME_CANCELLED || report->outcome == OUTCOME_INTERNAL);
    world.run = NULL;
}

/* --- the conversation */

static void child_says(uint8_t type, const uint8_t *body, size_t len, bool with_fd)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, type);
    buf_append(&m.body, body, len);
    if (with_fd)
        msg_put_fd(&m, world.peer);
    world.said_ok |= type == ENGINE_RESULT && len >= 8 && memcmp(body, &(uint64_t){OUTCOME_OK}, 8) == 0;
    if (world.child >= 0 && msg_send(world.child, &m) == 0 && type == ENGINE_RESULT)
        world.said_results++;
}

static void zygote_says(int (*take)(struct zygote *z, struct msg *m), const uint8_t *body, size_t len,
                        bool with_fd)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, 0);
    buf_append(&m.body, body, len);
    m.owns_fds = true;
    if (with_fd)
        m.fds[m.n_fds++] = eventfd(1, EFD_CLOEXEC);
    if (take(&world.zygote, &m) < 0)
        zygote_dies();
}

static void close_child(void)
{
    if (world.child >= 0)
        close(TAKE_FD(world.child));
}

static void turn(void)
{
    uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void cancel(void)
{
    if (!world.run)
        return;
    world.cancelled = true;
    engine_run_cancel(world.run);
}

static void happen(enum speaker speaker, uint8_t type, const uint8_t *body, size_t len)
{
    switch (speaker) {
    case CHILD:
    case CHILD_WITH_FD:
        child_says(type, body, len, speaker == CHILD_WITH_FD);
        return;
    case SPAWNED:
        zygote_says(run_take_spawned, body, len, type & 1);
        return;
    case EXITED:
        zygote_says(run_take_exited, body, len, false);
        return;
    case CANCEL:
        cancel();
        return;
    case ZYGOTE_DIES:
        zygote_dies();
        return;
    case CHILD_CLOSES:
        close_child();
        return;
    case TURN:
    case N_SPEAKERS:
        turn();
    }
}

static void begin(void)
{
    static const struct settings settings = {.job_memory_bytes = MEMORY};
    static const struct engine_request request = {.engine = "pdf",
                                                  .from = "pdf",
                                                  .to = "png",
                                                  .input = "in.pdf",
                                                  .output = "out",
                                                  .timeout_ms = TIMEOUT_MS,
                                                  .timeout_page_ms = PAGE_MS,
                                                  .timeout_most_ms = TIMEOUT_MOST_MS,
                                                  .cpu_s = 100,
                                                  .result = on_result};
    struct engine_request mine = request;
    int pair[2];

    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    world.peer = pair[1];
    world.child = -1;
    world.results = world.ends = 0;
    world.cancelled = world.said_ok = false;
    world.pool = (struct engine_pool){
        .loop = &world.loop, .settings = &settings, .zygotes = &world.zygote, .next_run = 1};
    world.zygote = (struct zygote){
        .pool = &world.pool, .name = "pdf", .state = ENGINE_UP, .pidfd = -1, .control = pair[0]};
    mine.job_fd = world.peer;
    world.run = engine_pool_run(&world.pool, &mine, on_progress, on_done, NULL);
    require(world.run != NULL);
}

/* The zygote tells of the end, twice if the run is tried again; or the child's end tells. */
static void end(void)
{
    for (int i = 0; i < 4 && world.run; i++) {
        uint64_t exited[] = {world.run->id, 0, 0, 0, 0};

        if (world.run->state == SENT || world.run->state == RUNNING)
            zygote_says(run_take_exited, (const uint8_t *)exited, sizeof exited, false);
        close_child();
        turn();
    }
    require(world.ends == 1 && !world.pool.runs);
    close_child();
    close(world.peer);
    close(world.zygote.control);
    uv_run(&world.loop, UV_RUN_DEFAULT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;

    if (!begun)
        begun = uv_loop_init(&world.loop) == 0;
    begin();
    while (size >= 3) {
        size_t len = data[2] <= size - 3 ? data[2] : size - 3;

        happen(data[0] % N_SPEAKERS, data[1], data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    end();
    return 0;
}
