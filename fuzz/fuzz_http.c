/* Whole requests, through libmicrohttpd as the API runs it. An input is a number and what a client sends on
 * one connection. What reaches a handler has one Host, one opinion about its length and no control character
 * in its header, and the requests that are understood are the same whether the
 * bytes come at once or in two pieces, cut where the number says. */
#include "fuzz.h"

#include "core/str.h"
#include "http/internal.h"

#include <errno.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BODY_MAX = 4096, TURNS_MAX = 1000, QUIET_TURNS = 4 };

static struct {
    uv_loop_t uv;
    struct http_loop *loop;
    uint64_t seen; /* a hash of all requests of the connection, in order */
    unsigned requests, open;
} server;

static void mix(const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        server.seen = (server.seen ^ p[i]) * 0x100000001b3;
}

static void mix_text(const char *s)
{
    mix(s ? s : "\xff", s ? strlen(s) + 1 : 1);
}

/* --- the application */

static void require_strict(struct http_request *req)
{
    size_t hosts = 0, lengths = 0;

    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_pair *h = &req->headers[i];

        require(*h->name && !strpbrk(h->name, " \t\r\n:,;\"()<>[]@?={}/\\"));
        for (const char *p = h->value; *p; p++)
            require((unsigned char)*p >= ' ' || *p == '\t');
        require(*h->value != ' ' && !strpbrk(h->value, "\r\n"));
        hosts += strcasecmp(h->name, "Host") == 0;
        lengths +=
            strcasecmp(h->name, "Content-Length") == 0 || strcasecmp(h->name, "Transfer-Encoding") == 0;
        mix_text(h->name);
        mix_text(h->value);
    }
    require(hosts <= 1 && (hosts == 1 || req->http10) && lengths <= 1);
    require(req->n_headers <= HTTP_HEADERS_MAX && !strpbrk(req->path, " \t\r\n"));
    mix_text(http_request_method(req));
    mix_text(http_request_path(req));
    mix_text(http_request_query(req, "a"));
    mix_text(http_request_cookie(req, "session_id"));
}

static void see(struct http_request *req, const void *body, size_t len)
{
    int64_t claimed = http_request_content_length(req);

    require(claimed < 0 || (uint64_t)claimed == len);
    mix(body, len);
    mix_text("end");
    server.requests++;
}

static void on_memory(struct http_request *req)
{
    size_t len;
    const char *body = http_request_body(req, &len);

    require_strict(req);
    see(req, body, len);
    http_reply(req, 200, "text/plain", "ok", 2);
}

struct upload {
    struct http_request *req;
    struct buf body;
};

static int upload_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;

    return buf_append(&u->body, data, len);
}

static void upload_end(void *arg)
{
    struct upload *u = arg;

    see(u->req, u->body.data, u->body.len);
    http_reply(u->req, 201, "text/plain", "", 0);
}

static void upload_over(void *arg)
{
    struct upload *u = arg;

    buf_free(&u->body);
    server.open--;
}

static void on_stream(struct http_request *req)
{
    static const struct http_stream stream = {.data = upload_data, .end = upload_end};
    struct upload *u = http_request_alloc(req, sizeof *u);

    require_strict(req);
    *u = (struct upload){.req = req, .body = BUF_INIT(BODY_MAX)};
    server.open++;
    http_request_on_end(req, upload_over, u);
    http_request_stream(req, &stream, u);
}

static void on_error(struct http_request *req, unsigned status)
{
    require(status >= 400 && status < 600);
    http_reply(req, status, "text/plain", "no", 2);
}

static void start(void)
{
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/", .body = HTTP_BODY_NONE, .handler = on_memory},
        {.method = "POST",
         .path = "/m",
         .body = HTTP_BODY_MEMORY,
         .body_max = BODY_MAX,
         .handler = on_memory},
        {.method = "POST",
         .path = "/s",
         .body = HTTP_BODY_STREAM,
         .body_max = BODY_MAX,
         .handler = on_stream},
    };
    const struct http_config config = {.listen = "127.0.0.1",
                                       .max_connections = 64,
                                       .header_timeout_ms = 100000,
                                       .idle_timeout_ms = 100000,
                                       .routes = routes,
                                       .n_routes = ARRAY_SIZE(routes),
                                       .error = on_error};

    require(uv_loop_init(&server.uv) == 0 && http_loop_new(&server.uv, &config, &server.loop) == 0);
    http_loop_begin(server.loop);
}

/* --- the client */

static void turn(void)
{
    http_loop_wake(server.loop);
    uv_run(&server.uv, UV_RUN_NOWAIT);
}

/* Reads answers until nothing comes for some turns, or the connection ends. */
static void listen_to(int fd)
{
    char answer[16384];

    for (int quiet = 0, turns = 0; quiet < QUIET_TURNS; turns++) {
        ssize_t n;

        require(turns < TURNS_MAX);
        turn();
        n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n == 0)
            return;
        quiet = n > 0 ? 0 : quiet + 1;
    }
}

static void say(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        if (len > 0)
            listen_to(fd);
    }
    listen_to(fd);
}

static uint64_t converse(const uint8_t *data, size_t size, size_t cut)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int pair[2];

    server.seen = 0xcbf29ce484222325;
    server.requests = 0;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    require(MHD_add_connection(server.loop->daemon, pair[0], (struct sockaddr *)&address, sizeof address) ==
            MHD_YES);
    say(pair[1], data, cut);
    say(pair[1], data + cut, size - cut);
    close(pair[1]);
    for (int i = 0; server.loop->connections || server.loop->n_lingers; i++) {
        require(i < TURNS_MAX);
        turn();
    }
    require(http_loop_active(server.loop) == 0 && server.open == 0);
    return server.seen;
}

/* A line of nothing but colons and NULs, which ends the header: docs/http.md. */
static bool has_known_end(const char *text, size_t len)
{
    bool only = false;
    size_t n = 0; /* of them in this line */

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' && only && n > 0)
            return true;
        if (text[i] == '\n') {
            only = true;
            n = 0;
        } else if (text[i] == ':' || text[i] == '\0') {
            n++;
        } else if (text[i] != '\r') {
            only = false;
        }
    }
    return false;
}

/* Is there in the first header what one reader takes for something else than another: a NUL, a folded line,
 * no name, or a blank behind it? */
static bool is_ambiguous(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data,
               *ends[] = {memmem(text, size, "\n\r\n", 3), memmem(text, size, "\n\n", 2)};
    size_t len = size;
    _cleanup_free_ char *header = NULL;

    if (size == 0 || strchr("\r\n", *text)) /* empty lines before a request are skipped */
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (ends[i] && (size_t)(ends[i] - text) < len)
            len = (size_t)(ends[i] - text);
    if (len == size)
        return false;
    if (has_known_end(text, len + 1))
        return false;
    if (memmem(text, len, "\n ", 2) || memmem(text, len, "\n\t", 2))
        return true;
    header = calloc(1, len + 1);
    require(header != NULL);
    memcpy(header, text, len);
    for (size_t i = 0, end; i < len; i++) {
        for (end = i; end < len && text[end] == '\0'; end++)
            ;
        /* But the end of a line it may be, or stand before the last one's: docs/http.md. */
        if (end > i && text[end] != '\n' && !(end == i + 1 && end + 1 == len && text[end] == '\r'))
            return true;
        header[i] = text[i] ? text[i] : '\r';
    }
    for (char *line = strchr(header, '\n'); line; line = strchr(line + 1, '\n')) {
        size_t name = strcspn(line + 1, ":\n");

        if (line[1 + name] == ':' && (name == 0 || strchr(" \t", line[name])))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole;
    unsigned requests;

    if (size < 2)
        return 0;
    if (!server.loop)
        start();
    size -= 2;
    whole = converse(data + 2, size, size);
    requests = server.requests;
    require(requests == 0 || !is_ambiguous(data + 2, size));
    require(converse(data + 2, size, (data[0] | (size_t)data[1] << 8) % (size + 1)) == whole);
    require(server.requests == requests);
    return 0;
}
