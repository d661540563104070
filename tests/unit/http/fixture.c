#include "fixture.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

atomic_uint ended, gone, received, started, under_way;

static struct {
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t command;
    struct http_loop *loop;
    atomic_bool stop, quiesce, done;
    uint16_t port;
    pthread_barrier_t ready;
    int file;
} server = {.file = -1};

/* --- routes */

static void count_end(void *arg)
{
    struct http_request *req = arg;

    gone += http_request_gone(req);
    ended++;
    http_request_unref(req);
}

static void watch(struct http_request *req)
{
    started++;
    http_request_on_end(req, count_end, http_request_ref(req));
}

/* Runs fn(req) in `ms`, as an asynchronous look-up would. */
struct later {
    uv_timer_t timer;
    struct http_request *req;
    http_handler *fn;
};

static void later_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void later_fire(uv_timer_t *timer)
{
    struct later *later = timer->data;

    later->fn(later->req);
    http_request_unref(later->req);
    uv_close((uv_handle_t *)timer, later_closed);
}

static void run_later(struct http_request *req, unsigned ms, http_handler *fn)
{
    struct later *later = calloc(1, sizeof *later);

    later->req = http_request_ref(req);
    later->fn = fn;
    uv_timer_init(&server.uv, &later->timer);
    later->timer.data = later;
    uv_timer_start(&later->timer, later_fire, ms, 0);
}

static void reply_text(struct http_request *req, unsigned status, const char *text)
{
    http_reply(req, status, "text/plain", text, strlen(text));
}

static void on_hello(struct http_request *req)
{
    watch(req);
    reply_text(req, 200, "hello");
}

static void on_inspect(struct http_request *req)
{
    const char *name = http_request_query(req, "name"), *cookie = http_request_cookie(req, "session_id");
    const char *header = http_request_header(req, "x-thing");

    http_reply_json(req, 200,
                    json_pack("{s:s?, s:s?, s:s?, s:s, s:s}", "name", name, "cookie", cookie, "header",
                              header, "method", http_request_method(req), "id", http_request_id(req)));
}

static void on_thing(struct http_request *req)
{
    reply_text(req, 200, http_request_param(req));
}

static void on_twice(struct http_request *req)
{
    http_reply_header(req, "X-Twice", "first");
    http_reply_header(req, "x-twice", "second");
    http_reply_cookie(req, "one=1; Path=/");
    http_reply_cookie(req, "two=2; Path=/");
    http_reply_cookie(req, "three=3\r\nX-Injected: yes");
    reply_text(req, 200, "");
}

static void on_no_json(struct http_request *req)
{
    http_reply_json(req, 200, json_pack("{s:s}", "name", "\xff"));
}

static void reply_late(struct http_request *req)
{
    reply_text(req, 200, "late");
}

static void on_wait(struct http_request *req)
{
    watch(req);
    run_later(req, 50, reply_late);
}

/* Never answers: the client gives up. */
static void on_hold(struct http_request *req)
{
    watch(req);
}

static void on_memory(struct http_request *req)
{
    size_t len;
    const char *body = http_request_body(req, &len);

    watch(req);
    http_reply(req, 200, "text/plain", body, len);
}

struct upload {
    struct http_request *req;
    const char *mode;
    size_t bytes;
};

static void upload_denied(struct http_request *req)
{
    reply_text(req, 403, "denied");
}

static int upload_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;

    u->bytes += len;
    received += len;
    if (str_eq(u->mode, "fail") && u->bytes > 100000) {
        reply_text(u->req, 507, "full");
        return -ENOSPC;
    }
    if (str_eq(u->mode, "fail-late")) {
        run_later(u->req, 30, upload_denied);
        return -ENOSPC;
    }
    return 0;
}

static void upload_report(struct upload *u)
{
    char text[32];

    snprintf(text, sizeof text, "%zu", u->bytes);
    reply_text(u->req, 201, text);
}

static void upload_report_late(struct http_request *req)
{
    reply_text(req, 201, "late");
}

static void upload_end(void *arg)
{
    struct upload *u = arg;

    if (str_eq(u->mode, "end-late"))
        run_later(u->req, 30, upload_report_late);
    else
        upload_report(u);
}

static void upload_begin(struct http_request *req)
{
    static const struct http_stream stream = {.data = upload_data, .end = upload_end};
    struct upload *u = http_request_alloc(req, sizeof *u);

    u->req = req;
    u->mode = http_request_query(req, "mode");
    http_request_stream(req, &stream, u);
}

static void upload_begin_and_deny(struct http_request *req)
{
    upload_begin(req);
    upload_denied(req);
}

static void on_stream(struct http_request *req)
{
    static const struct {
        const char *mode;
        http_handler *now, *late;
    } modes[] = {{"deny", upload_denied, NULL},
                 {"deny-late", NULL, upload_denied},
                 {"late", NULL, upload_begin},
                 {"begin-and-deny", NULL, upload_begin_and_deny}};
    const char *mode = http_request_query(req, "mode");

    watch(req);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (str_eq(mode, modes[i].mode)) {
            if (modes[i].now)
                modes[i].now(req);
            else
                run_later(req, 30, modes[i].late);
            return;
        }
    upload_begin(req);
}

static void on_static(struct http_request *req)
{
    http_reply_static(req, 200, "text/plain", "always the same", strlen("always the same"));
}

static void on_file(struct http_request *req)
{
    const char *version = http_request_query(req, "version");

    if (version)
        http_reply_header(req, "ETag", version);
    http_reply_file(req, "text/plain", dup(server.file));
}

/* --- event streams: `pieces` of `size` bytes, each as soon as it is taken; then the end, if `end` is given
 */

struct events {
    struct http_event_stream *stream;
    unsigned pieces, size;
    bool end;
};

static void send_events(void *arg)
{
    struct events *e = arg;
    bool ready = true;

    while (ready && e->pieces > 0) {
        char *text = malloc(e->size);

        memset(text, 'a' + (int)(e->pieces-- % 26), e->size);
        ready = http_event_stream_send(e->stream, text, e->size);
        received += e->size;
        free(text);
    }
    if (e->pieces == 0 && e->end) {
        http_event_stream_end(e->stream);
        free(e);
    }
}

static void events_gone(void *arg)
{
    gone++;
    free(arg);
}

static unsigned query_number(struct http_request *req, const char *name)
{
    const char *text = http_request_query(req, name);

    return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void open_events(struct http_request *req)
{
    static const struct http_event_stream_ops ops = {.ready = send_events, .end = events_gone};
    struct events *e = calloc(1, sizeof *e);
    int r;

    *e = (struct events){.pieces = query_number(req, "pieces"),
                         .size = query_number(req, "size"),
                         .end = http_request_query(req, "end")};
    http_reply_header(req, "X-Accel-Buffering", "no");
    r = http_event_stream_open(req, &ops, e, &e->stream);
    if (r < 0)
        reply_text(req, 503, "no stream");
    if (r == 0 && e->stream)
        send_events(e);
    else
        free(e);
}

/* --- answers that are made while they are sent: `len` bytes, the i-th is 'a' + i % 26, in pieces of `piece`;
 * with `late` each comes so many milliseconds later, and at the byte `break` there are no more */

struct source {
    struct http_request *req;
    uv_timer_t timer;
    unsigned len, at, piece, late_ms, break_at;
    char *data;
};

static void give(struct source *s)
{
    unsigned n = s->len - s->at < s->piece ? s->len - s->at : s->piece;

    if (s->break_at && s->at >= s->break_at) {
        http_source_break(s->req);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        s->data[i] = (char)('a' + (s->at + i) % 26);
    s->at += n;
    received += n;
    http_source_give(s->req, s->data, n);
}

static void give_late(uv_timer_t *timer)
{
    give(timer->data);
}

static void want_piece(void *arg)
{
    struct source *s = arg;

    if (s->late_ms)
        uv_timer_start(&s->timer, give_late, s->late_ms, 0);
    else
        give(s);
}

static void free_source(uv_handle_t *timer)
{
    struct source *s = timer->data;

    free(s->data);
    free(s);
}

static void end_source(void *arg)
{
    uv_close((uv_handle_t *)&((struct source *)arg)->timer, free_source);
}

static void on_source(struct http_request *req)
{
    struct source *s = calloc(1, sizeof *s);

    *s = (struct source){.req = req,
                         .len = query_number(req, "len"),
                         .piece = query_number(req, "piece"),
                         .late_ms = query_number(req, "late"),
                         .break_at = query_number(req, "break")};
    s->data = malloc(s->piece);
    uv_timer_init(&server.uv, &s->timer);
    s->timer.data = s;
    watch(req);
    http_request_on_end(req, end_source, s);
    http_reply_source(req, "text/plain", s->len, want_piece, s);
}

static void on_events(struct http_request *req)
{
    watch(req);
    if (http_request_query(req, "late"))
        run_later(req, 30, open_events);
    else
        open_events(req);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/events", .handler = on_events},
    {.method = "GET", .path = "/hello", .handler = on_hello},
    {.method = "GET", .path = "/inspect", .handler = on_inspect},
    {.method = "GET", .path = "/things/{id}", .handler = on_thing},
    {.method = "DELETE", .path = "/things/{id}", .handler = on_thing},
    {.method = "GET", .path = "/things/{id}/part", .handler = on_thing},
    {.method = "GET", .path = "/twice", .handler = on_twice},
    {.method = "GET", .path = "/no-json", .handler = on_no_json},
    {.method = "GET", .path = "/wait", .handler = on_wait},
    {.method = "GET", .path = "/hold", .handler = on_hold},
    {.method = "GET", .path = "/file", .handler = on_file},
    {.method = "GET", .path = "/source", .handler = on_source},
    {.method = "GET", .path = "/static", .handler = on_static},
    {.method = "POST", .path = "/hello", .handler = on_hello},
    {.method = "POST", .path = "/memory", .body = HTTP_BODY_MEMORY, .body_max = 1000, .handler = on_memory},
    {.method = "POST", .path = "/large", .body = HTTP_BODY_MEMORY, .body_max = 4 << 20, .handler = on_memory},
    {.method = "POST",
     .path = "/stream",
     .body = HTTP_BODY_STREAM,
     .body_max = 4 << 20,
     .handler = on_stream},
};

static void on_error(struct http_request *req, unsigned status)
{
    http_reply_json(req, status, json_pack("{s:i, s:s}", "status", (int)status, "id", http_request_id(req)));
}

static void count_over(void *arg)
{
    under_way--;
}

static void on_prepare(struct http_request *req)
{
    under_way++;
    http_request_on_end(req, count_over, NULL);
    http_reply_header(req, "X-Prepared", "yes");
    http_reply_header(req, "X-Twice", "prepared");
}

#define DEFAULT_CONFIG                                                                                       \
    {                                                                                                        \
        .listen = "127.0.0.1", .max_connections = 4096, .header_timeout_ms = 2000, .idle_timeout_ms = 5000,  \
        .routes = routes, .n_routes = ARRAY_SIZE(routes), .prepare = on_prepare, .error = on_error,          \
    }

struct http_config server_config = DEFAULT_CONFIG;

/* --- the thread */

static void on_command(uv_async_t *async)
{
    if (server.quiesce) {
        http_loop_quiesce(server.loop);
        server.quiesce = false;
    }
    if (server.stop) {
        http_loop_free(server.loop);
        uv_close((uv_handle_t *)async, NULL);
    }
    server.done = true;
}

static void *run(void *arg)
{
    assert_int_equal(uv_loop_init(&server.uv), 0);
    assert_int_equal(uv_async_init(&server.uv, &server.command, on_command), 0);
    assert_int_equal(http_loop_new(&server.uv, &server_config, &server.loop), 0);
    http_loop_begin(server.loop);
    server.port = http_loop_port(server.loop);
    pthread_barrier_wait(&server.ready);
    uv_run(&server.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&server.uv), 0);
    return NULL;
}

void server_start(void)
{
    ended = gone = received = started = 0;
    server.stop = server.quiesce = false;
    pthread_barrier_init(&server.ready, NULL, 2);
    assert_int_equal(pthread_create(&server.thread, NULL, run, NULL), 0);
    pthread_barrier_wait(&server.ready);
    pthread_barrier_destroy(&server.ready);
}

static void command(void)
{
    server.done = false;
    uv_async_send(&server.command);
    while (!server.done)
        usleep(1000);
}

void server_stop(void)
{
    server.stop = true;
    command();
    pthread_join(server.thread, NULL);
    server_config = (struct http_config)DEFAULT_CONFIG;
    if (server.file >= 0)
        close(server.file);
    server.file = -1;
}

void server_quiesce(void)
{
    server.quiesce = true;
    command();
}

unsigned server_active(void)
{
    return http_loop_active(server.loop);
}

void server_set_file(size_t size)
{
    char *text = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i % 26);
    server.file = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(server.file, text, size), size);
    free(text);
}

int server_setup(void **state)
{
    server_start();
    return 0;
}

int server_teardown(void **state)
{
    server_stop();
    assert_int_equal(under_way, 0); /* each request that began has ended, whatever became of it */
    return 0;
}

/* --- the client */

int client_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server.port)};
    struct timeval timeout = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return fd;
}

void client_send_bytes(int fd, const void *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0)
            fail_msg("send: %s", strerror(errno));
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

static void receive(int fd, struct buf *in, size_t max)
{
    char piece[65536];
    ssize_t n = recv(fd, piece, max < sizeof piece ? max : sizeof piece, 0);

    if (n <= 0)
        fail_msg("recv: %s after %zu bytes: %s", n == 0 ? "end" : strerror(errno), in->len,
                 in->data ? in->data : "");
    assert_int_equal(buf_append(in, piece, (size_t)n), 0);
}

struct response client_read(int fd, bool head)
{
    struct buf in = BUF_INIT(64 << 20);
    struct response r = {0};
    const char *length;
    size_t header_len;

    while (!in.data || !strstr(in.data, "\r\n\r\n"))
        receive(fd, &in, 1);
    header_len = in.len;
    r.text = in.data;
    length = response_header(&r, "Content-Length");
    if (length && !head)
        for (size_t want = header_len + strtoul(length, NULL, 10); in.len < want;)
            receive(fd, &in, want - in.len);
    r.body_len = in.len - header_len;
    r.text = in.data;
    r.body = r.text + header_len;
    if (sscanf(r.text, "HTTP/1.1 %u", &r.status) != 1)
        fail_msg("no status: %s", r.text);
    return r;
}

void response_free(struct response *r)
{
    free(r->text);
}

const char *response_header(const struct response *r, const char *name)
{
    static _Thread_local char value[512];
    _cleanup_free_ char *needle = NULL;

    assert_true(asprintf(&needle, "\r\n%s: ", name) > 0);

    const char *at = strcasestr(r->text, needle);

    if (!at)
        return NULL;
    at += strlen(needle);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

bool client_closed(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    if (poll(&p, 1, ms) <= 0)
        return false;
    return recv(fd, &c, 1, 0) <= 0;
}

bool client_ended(int fd)
{
    char piece[4096];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        ;
    return n == 0;
}

struct response exchange(const char *request)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, request);
    return client_read(fd, str_starts(request, "HEAD "));
}

void wait_for(atomic_uint *counter, unsigned value)
{
    for (unsigned i = 0; i < 2500 && *counter < value; i++)
        usleep(1000);
    assert_int_equal(*counter, value);
}
