/* Answers that are made while they are sent. MHD asks for bytes whenever the socket takes some; when there
 * are none of the piece left, the handler's want() is asked for the next, and until that is there the
 * connection is suspended, as it is while a request waits for its answer. So one piece at a time is in
 * memory, and whoever makes it waits for the client by itself: nothing is asked for that isn't taken. */
#include "http/internal.h"

#include "core/str.h"

enum { BLOCK_BYTES = 32 * 1024 }; /* what MHD copies at a time, into a buffer of its own */

struct http_source {
    struct http_request *req;
    void (*want)(void *arg);
    void *arg;
    const char *piece;
    size_t left;
    bool wanted, broken;
};

/* MHD is told by a socket that takes no more. Of an error that it is told here it makes an end of the request
 * alone (0.9.75): the connection stays, in no list that MHD looks through, until a timeout. So it gets a
 * byte, which nobody will ever see. */
static ssize_t cut(struct http_request *req, char *to)
{
    http_connection_kill(req->conn);
    *to = '\0';
    return 1;
}

static ssize_t take(void *cls, uint64_t pos, char *to, size_t max)
{
    struct http_source *s = cls;
    size_t n;

    if (s->left == 0 && !s->wanted && !s->broken && !s->req->gone) {
        s->wanted = true;
        s->want(s->arg);
    }
    if (s->broken || s->req->gone)
        return cut(s->req, to);
    if (s->left == 0) {
        http_exchange_suspend(s->req);
        return 0;
    }
    n = s->left < max ? s->left : max;
    memcpy(to, s->piece, n);
    s->piece += n;
    s->left -= n;
    return (ssize_t)n;
}

struct MHD_Response *http_source_response(struct http_source *s, uint64_t len)
{
    return MHD_create_response_from_callback(len, BLOCK_BYTES, take, s, NULL);
}

struct http_source *http_source_new(struct http_request *req, void (*want)(void *arg), void *arg)
{
    struct http_source *s = http_request_alloc(req, sizeof *s);

    *s = (struct http_source){.req = req, .want = want, .arg = arg};
    return req->source = s;
}

void http_source_give(struct http_request *req, const void *data, size_t len)
{
    struct http_source *s = req->source;

    if (req->phase == PHASE_ENDED)
        return;
    if (!s || !s->wanted || len == 0)
        abort();
    s->wanted = false;
    s->piece = data;
    s->left = len;
    http_exchange_resume(req);
}

void http_source_break(struct http_request *req)
{
    if (req->phase == PHASE_ENDED)
        return;
    req->source->broken = true;
    http_exchange_resume(req);
}
