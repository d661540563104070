#include "support/fake_sentinel.h"

#include "core/str.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include <cmocka.h>

enum { WORDS_MAX = 4, BYTES_MAX = 4096 };

struct client {
    uv_tcp_t tcp;
    struct fake_sentinel *sentinel;
    bool known; /* has said the password */
    size_t n;
    char bytes[BYTES_MAX];
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_written(uv_write_t *write, int status)
{
    free(write);
}

static void say(struct client *c, const char *text)
{
    /* The text lies behind the request, and goes with it. */
    uv_write_t *write = malloc(sizeof *write + strlen(text) + 1);
    uv_buf_t buf;

    assert_non_null(write);
    strcpy((char *)(write + 1), text);
    buf = uv_buf_init((char *)(write + 1), (unsigned)strlen(text));
    assert_int_equal(uv_write(write, (uv_stream_t *)&c->tcp, &buf, 1, on_written), 0);
}

static void say_master(struct client *c)
{
    const struct fake_sentinel *s = c->sentinel;
    char text[256];

    snprintf(text, sizeof text, "*4\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
             strlen(s->epoch), s->epoch);
    say(c, s->host ? text : "-ERR No such master with that name\r\n");
}

static void say_address(struct client *c)
{
    struct fake_sentinel *s = c->sentinel;
    char text[256], port[8];

    s->asked++;
    snprintf(port, sizeof port, "%d", s->port);
    snprintf(text, sizeof text, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(s->host ? s->host : ""),
             s->host ? s->host : "", strlen(port), port);
    say(c, s->host ? text : "*-1\r\n");
}

static void serve(struct client *c, char *const words[], size_t n)
{
    const char *password = c->sentinel->password;
    bool ours = n == 3 && str_eq(words[2], "mymaster");

    if (strcasecmp(words[0], "AUTH") == 0) {
        c->known = n == 2 && str_eq(words[1], password);
        say(c, c->known ? "+OK\r\n" : "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    } else if (password && !c->known)
        say(c, "-NOAUTH Authentication required.\r\n");
    else if (strcasecmp(words[0], "PING") == 0)
        say(c, "+PONG\r\n");
    else if (c->sentinel->silent)
        return;
    else if (ours && strcasecmp(words[1], "MASTER") == 0)
        say_master(c);
    else if (ours && strcasecmp(words[1], "get-master-addr-by-name") == 0)
        say_address(c);
    else if (n == 3 && strcasecmp(words[0], "SENTINEL") == 0)
        say(c, strcasecmp(words[1], "MASTER") == 0 ? "-ERR No such master with that name\r\n" : "*-1\r\n");
    else
        fail_msg("a sentinel was asked %s", words[0]);
}

/* Takes one command off the front; false when it isn't there as a whole. */
static bool take(struct client *c)
{
    char *words[WORDS_MAX] = {NULL}, *p = c->bytes;
    int n, used, len;

    c->bytes[c->n] = '\0';
    if (sscanf(p, "*%d\r\n%n", &n, &used) < 1)
        return false;
    assert_in_range(n, 1, WORDS_MAX);
    p += used;
    for (int i = 0; i < n; i++) {
        if (sscanf(p, "$%d%n", &len, &used) < 1 || p + used + 2 + len + 2 > c->bytes + c->n)
            return false;
        words[i] = p + used + 2;
        p = words[i] + len + 2;
    }
    for (int i = 0; i < n; i++)
        *strchr(words[i], '\r') = '\0';
    serve(c, words, (size_t)n);
    c->n -= (size_t)(p - c->bytes);
    memmove(c->bytes, p, c->n);
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct client *c = handle->data;

    *buf = uv_buf_init(c->bytes + c->n, (unsigned)(BYTES_MAX - 1 - c->n));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;

    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    c->n += (size_t)n;
    while (take(c))
        ;
}

static void on_client(uv_stream_t *listener, int status)
{
    struct client *c = calloc(1, sizeof *c);

    assert_int_equal(status, 0);
    assert_non_null(c);
    c->sentinel = listener->data;
    uv_tcp_init(listener->loop, &c->tcp);
    c->tcp.data = c;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), 0);
}

void fake_sentinel_start(struct fake_sentinel *s, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int len = sizeof address;

    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    uv_tcp_init(loop, &s->listener);
    s->listener.data = s;
    assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, on_client), 0);
    assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &len), 0);
    s->listens_on = ntohs(address.sin_port);
}

void fake_sentinel_stop(struct fake_sentinel *s)
{
    uv_close((uv_handle_t *)&s->listener, NULL);
}
