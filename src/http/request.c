/* The request object: its memory, its life, and the strict reading of its header.
 *
 * Everything that a handler sees is copied into the request's own arena, because a request may outlive its
 * connection (whoever waits for something holds a reference) and MHD's buffers don't.
 *
 * MHD 0.9.75 is lenient where proxies and servers must not disagree (request smuggling): it takes a
 * Content-Length beside a Transfer-Encoding, ends lines at a bare LF, cuts them at NUL, joins folded lines
 * and takes blanks before the colon. What it parsed is therefore checked against where it stood: in MHD's
 * buffer each line follows the one before it, two bytes between them, so a string that ends before its line
 * did had a NUL in it, and one that is elsewhere was folded. MHD 1.0 can be told to refuse all of these. */
#include "http/internal.h"

#include "core/str.h"
#include "core/xalloc.h"

#include <ctype.h>
#include <strings.h>

enum { CHUNK_BYTES = 2048 };

struct http_chunk {
    struct http_chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char data[];
};

static void add_chunk(struct http_request *req, size_t size)
{
    struct http_chunk *chunk = xcalloc(1, sizeof *chunk + size);

    chunk->size = size;
    chunk->next = req->memory;
    req->memory = chunk;
}

void *http_request_alloc(struct http_request *req, size_t size)
{
    const size_t align = _Alignof(max_align_t);

    if (size > SIZE_MAX / 2)
        abort();
    size = (size + align - 1) & ~(align - 1);
    if (!req->memory || req->memory->size - req->memory->used < size)
        add_chunk(req, size > CHUNK_BYTES ? size : CHUNK_BYTES);
    req->memory->used += size;
    return req->memory->data + req->memory->used - size;
}

char *http_request_strndup(struct http_request *req, const char *s, size_t len)
{
    char *copy = http_request_alloc(req, len + 1);

    return memcpy(copy, s, len);
}

char *http_request_strdup(struct http_request *req, const char *s)
{
    return http_request_strndup(req, s, strlen(s));
}

static bool is_plain_uri(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    return true;
}

/* "http://host/path" is "/path" of that host (RFC 9112 section 3.2.2): what the path and the query are made
 * from. */
static char *origin_form(struct http_request *req, const char *uri)
{
    size_t scheme = strncasecmp(uri, "http://", 7) == 0 ? 7 : strncasecmp(uri, "https://", 8) == 0 ? 8 : 0;
    size_t n = strcspn(uri + scheme, "/?");
    char *target;

    if (scheme == 0)
        return http_request_strdup(req, uri);
    req->authority = http_request_strndup(req, uri + scheme, n);
    uri += scheme + n;
    target = http_request_alloc(req, strlen(uri) + 2);
    stpcpy(stpcpy(target, *uri == '/' ? "" : "/"), uri);
    return target;
}

struct http_request *http_request_new(struct http_connection *conn, const char *uri)
{
    struct http_request *req = xcalloc(1, sizeof *req);

    req->refs = 1;
    req->conn = conn;
    req->config = &conn->loop->config;
    req->app = req->config->app;
    req->wire_uri = uri;
    req->wire_uri_end = uri + strlen(uri);
    req->plain_uri = is_plain_uri(uri);
    req->method = "";
    id_uuid_from(&conn->loop->ids, req->id);

    char *path = origin_form(req, uri), *query = strchr(path, '?');

    if (query)
        *query++ = '\0';
    req->path = path;
    req->query = query ? query : "";
    return req;
}

struct http_request *http_request_ref(struct http_request *req)
{
    req->refs++;
    return req;
}

void http_request_unref(struct http_request *req)
{
    if (--req->refs > 0)
        return;
    for (struct http_chunk *chunk = req->memory, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    buf_free(&req->body);
    free(req);
}

void http_request_on_end(struct http_request *req, void (*fn)(void *arg), void *arg)
{
    struct http_on_end *entry;

    if (req->phase == PHASE_ENDED) {
        fn(arg);
        return;
    }
    entry = http_request_alloc(req, sizeof *entry);
    *entry = (struct http_on_end){.fn = fn, .arg = arg, .next = req->on_end};
    req->on_end = entry;
}

void http_request_end(struct http_request *req, bool gone)
{
    struct http_on_end *entry = req->on_end;

    http_exchange_answered(req, 0);
    req->phase = PHASE_ENDED;
    req->gone = gone;
    req->conn = NULL;
    req->config = NULL;
    req->stream = NULL;
    req->on_end = NULL;
    for (; entry; entry = entry->next)
        entry->fn(entry->arg);
    http_request_unref(req);
}

/* --- reading the header */

/* token = 1*tchar (RFC 9110 section 5.6.2) */
static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
            return false;
    return true;
}

static bool is_plain_value(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

struct header_reader {
    struct http_request *req;
    const char *line_end; /* the NUL that MHD put where the line before ended */
    size_t count;
    bool bad;
};

#if MHD_VERSION < 0x01000000
/* The line's end was CR LF, of which MHD made two NULs. */
static bool follows(const char *line_end, const char *line)
{
    return line == line_end + 2 && !line_end[1];
}

/* The last line's end, then the empty line's, is where the header ends. MHD takes a line that begins with a
 * colon or a NUL for an empty one too; of these only one that holds nothing else before a single LF can't be
 * told from CR LF any more (docs/http.md). */
static bool ends_header(const char *line_end, size_t rest)
{
    return rest == 4 && memcmp(line_end, "\0\0\0", 4) == 0;
}
#else
/* As strict as server.c wants it, MHD has refused what these look for, and its memory says nothing of it. */
static bool follows(const char *line_end, const char *line)
{
    return true;
}

static bool ends_header(const char *line_end, size_t rest)
{
    return true;
}
#endif

static enum MHD_Result copy_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    struct header_reader *reader = cls;
    struct http_request *req = reader->req;

    if (reader->count == HTTP_HEADERS_MAX || !value || !follows(reader->line_end, name) || !is_token(name) ||
        !is_plain_value(value)) {
        reader->bad = true;
        return MHD_NO;
    }
    reader->line_end = value + value_len;
    while (value_len > 0 && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
        value_len--;
    /* MHD compares a Transfer-Encoding with its blanks, and would read the body by another rule than ours. */
    if (reader->line_end != value + value_len && strcasecmp(name, "Transfer-Encoding") == 0)
        reader->bad = true;
    req->headers[reader->count++] = (struct http_pair){http_request_strndup(req, name, name_len),
                                                       http_request_strndup(req, value, value_len)};
    req->n_headers = reader->count;
    return MHD_YES;
}

static size_t count_headers(const struct http_request *req, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < req->n_headers; i++)
        n += strcasecmp(req->headers[i].name, name) == 0;
    return n;
}

/* RFC 9112 section 6: how long the body is, and no two opinions about it. */
static bool read_framing(struct http_request *req)
{
    const char *length = http_request_header(req, "Content-Length");
    const char *encoding = http_request_header(req, "Transfer-Encoding");
    uint64_t value = 0;

    if (count_headers(req, "Content-Length") + count_headers(req, "Transfer-Encoding") > 1)
        return false;
    if (encoding) {
        req->content_length = -1;
        req->has_body = true;
        return strcasecmp(encoding, "chunked") == 0 && !req->http10;
    }
    if (length && str_to_u64(length, 0, INT64_MAX, &value) < 0)
        return false;
    req->content_length = (int64_t)value;
    req->has_body = value > 0;
    return true;
}

/* Host = uri-host [ ":" port ] (RFC 9110 section 7.2), with no more than an address in brackets. */
static bool is_host(const char *s)
{
    size_t n;

    if (*s == '[') {
        n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
        if (s[n++] != ']')
            return false;
    } else {
        for (n = 0; isalnum((unsigned char)s[n]) || (s[n] && strchr("-._~%!$&'()*+,;=", s[n])); n++)
            ;
    }
    if (s[n] == ':')
        n += 1 + strspn(s + n + 1, "0123456789");
    return !s[n];
}

/* One, and the same as in the target where that has one. */
static bool check_host(const struct http_request *req)
{
    const char *host = http_request_header(req, "Host"), *named = host ? host : req->authority;

    if (count_headers(req, "Host") > 1 || (!host && !req->http10))
        return false;
    return !named || (is_host(named) && (!req->authority || strcasecmp(req->authority, named) == 0));
}

static unsigned check_request(struct http_request *req)
{
    if (!is_token(req->method) || !req->plain_uri || !read_framing(req) || !check_host(req))
        return MHD_HTTP_BAD_REQUEST;
    return http_query_parse(req);
}

unsigned http_request_read_header(struct http_request *req, const char *method, const char *version)
{
    const union MHD_ConnectionInfo *info;
    struct MHD_Connection *mhd = req->conn->mhd;
    struct header_reader reader = {.req = req, .line_end = version + strlen(version)};
    int n = MHD_get_connection_values(mhd, MHD_HEADER_KIND, NULL, NULL);

    req->method = http_request_strdup(req, method);
    req->http10 = str_eq(version, "HTTP/1.0");
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!info || info->header_size > HTTP_HEADER_BYTES_MAX || n > HTTP_HEADERS_MAX)
        return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
    if (req->wire_uri != method + strlen(method) + 1 || req->wire_uri_end + 1 != version)
        return MHD_HTTP_BAD_REQUEST;
    req->headers = http_request_alloc(req, (size_t)(n + 1) * sizeof *req->headers);
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, copy_header, &reader);

    if (reader.bad || !ends_header(reader.line_end, info->header_size - (size_t)(reader.line_end - method)))
        return MHD_HTTP_BAD_REQUEST;
    return check_request(req);
}

/* --- what handlers ask */

const char *http_request_id(const struct http_request *req)
{
    return req->id;
}

/* What is given twice is nobody's word. */
const struct trace *http_request_trace(struct http_request *req)
{
    const char *given =
        count_headers(req, "traceparent") == 1 ? http_request_header(req, "traceparent") : NULL;

    if (!req->trace.id[0] && !trace_parse(given, &req->trace))
        trace_new(&req->trace);
    return &req->trace;
}

const char *http_request_method(const struct http_request *req)
{
    return req->method;
}

const char *http_request_path(const struct http_request *req)
{
    return req->path;
}

const char *http_request_param(const struct http_request *req)
{
    return req->param;
}

const char *http_request_header(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            return req->headers[i].value;
    return NULL;
}

const char *http_request_header_before(const struct http_request *req, const char *name, const char *before)
{
    const char *found = NULL;

    for (size_t i = 0; i < req->n_headers && req->headers[i].value != before; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            found = req->headers[i].value;
    return found;
}

const char *http_request_body(const struct http_request *req, size_t *ret_len)
{
    *ret_len = req->body.len;
    return req->body.data ? req->body.data : "";
}

int64_t http_request_content_length(const struct http_request *req)
{
    return req->content_length;
}

const void *http_request_route(const struct http_request *req)
{
    return req->route ? req->route->data : NULL;
}

void *http_request_app(const struct http_request *req)
{
    return req->app;
}

const void *http_request_peer(const struct http_request *req)
{
    return req->conn ? req->conn->peer : NULL;
}

uint64_t http_request_answer_bytes(const struct http_request *req)
{
    return req->answer_bytes;
}

bool http_request_gone(const struct http_request *req)
{
    return req->gone;
}
