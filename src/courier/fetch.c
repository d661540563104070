/* curl's multi interface asks for what it waits for: a poll handle for each of its sockets, and one timer. A
 * fetch is on the list from its start to its end; what libuv can't take back (a name being resolved in a
 * thread) keeps its memory until that is over. */
#include "courier/fetch.h"

#include "core/buf.h"
#include "core/str.h"
#include "core/webhook.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>

enum { PINNED_MAX = 4096, ADDRESSES_MAX = 16, PINNED_S = 600 /* longer than a fetch can last */ };

struct fetcher {
    struct fetch_config config;
    CURLM *multi;
    uv_timer_t timer;
    struct fetch *first;
};

struct fetch {
    struct fetcher *fetcher; /* NULL: it is freed as soon as the name is resolved */
    struct fetch *next, **link;
    uv_getaddrinfo_t resolve;
    uv_timer_t patience; /* with the resolver */
    bool resolving;
    unsigned handles; /* of libuv, that have to be closed first */
    struct webhook_place place;
    CURL *easy;
    struct curl_slist *headers, *pinned;
    char *body;
    struct buf answer;
    const char *error; /* NULL: curl knows */
    fetch_fn *fn;
    void *arg;
};

static const char refused[] =
    "The host has an address that is private or special: DECANT_COURIER_NETWORKS names "
    "those that may be reached.";

/* --- the end of one */

static void destroy(struct fetch *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->pinned);
    buf_free(&t->answer);
    free(t->body);
    free(t);
}

static void release(struct fetch *t)
{
    if (t->handles == 0 && !t->resolving)
        destroy(t);
}

static void on_patience_closed(uv_handle_t *handle)
{
    struct fetch *t = handle->data;

    t->handles--;
    release(t);
}

/* No callback after this. */
static void let_go(struct fetch *t)
{
    if (t->easy)
        curl_multi_remove_handle(t->fetcher->multi, t->easy);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->fetcher = NULL;
    if (t->resolving)
        uv_cancel((uv_req_t *)&t->resolve);
    uv_close((uv_handle_t *)&t->patience, on_patience_closed);
}

static void finish(struct fetch *t, long status, const char *error)
{
    const struct fetch_answer answer = {.status = status,
                                        .error = error,
                                        .body = t->answer.data ? t->answer.data : "",
                                        .body_len = t->answer.len};

    t->fn(t->arg, &answer);
    let_go(t);
}

/* --- what curl asks of the loop */

struct watched {
    uv_poll_t poll;
    struct fetcher *fetcher;
    curl_socket_t socket;
};

static const char *curl_error(CURLcode code)
{
    static const struct {
        CURLcode code;
        const char *sentence;
    } sentences[] = {
        {CURLE_COULDNT_CONNECT, "No connection could be made."},
        {CURLE_OPERATION_TIMEDOUT, "There was no whole answer in time."},
        {CURLE_PEER_FAILED_VERIFICATION,
         "The certificate is not one of this host, or of no authority that is believed."},
        {CURLE_SSL_CONNECT_ERROR, "TLS could not be agreed on."},
        {CURLE_SSL_CACERT_BADFILE, "The file of certificates (DECANT_CA_FILE) can't be read."},
        {CURLE_WRITE_ERROR, "The answer is too long."},
        {CURLE_UNSUPPORTED_PROTOCOL, "The answer is not one of HTTP."},
        {CURLE_WEIRD_SERVER_REPLY, "The answer is not one of HTTP."},
        {CURLE_GOT_NOTHING, "The connection was closed without an answer."},
        {CURLE_RECV_ERROR, "The connection broke."},
        {CURLE_SEND_ERROR, "The connection broke."},
        {CURLE_PARTIAL_FILE, "The connection broke."},
    };

    if (code == CURLE_OK)
        return "";
    for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
        if (sentences[i].code == code)
            return sentences[i].sentence;
    return curl_easy_strerror(code); // NOLINT(concurrency-mt-unsafe): constants
}

static void finish_done(struct fetcher *f)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(f->multi, &left))) {
        struct fetch *t = NULL;
        long status = 0;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        finish(t, status, t->error ? t->error : curl_error(code));
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct fetcher *f = timer->data;
    int running;

    curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_done(f);
}

static void on_readiness(uv_poll_t *poll, int status, int events)
{
    struct watched *w = poll->data;
    struct fetcher *f = w->fetcher;
    int running, flags = status < 0 ? CURL_CSELECT_ERR : 0;

    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(f->multi, w->socket, flags, &running);
    finish_done(f);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct fetcher *f = arg;

    if (timeout_ms < 0)
        uv_timer_stop(&f->timer);
    else
        uv_timer_start(&f->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static struct watched *watched_new(struct fetcher *f, curl_socket_t socket)
{
    struct watched *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->fetcher = f;
    w->socket = socket;
    w->poll.data = w;
    if (uv_poll_init_socket(f->config.loop, &w->poll, socket) < 0) {
        free(w);
        return NULL;
    }
    curl_multi_assign(f->multi, socket, w);
    return w;
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned)
{
    struct fetcher *f = arg;
    struct watched *w = assigned;
    int events = 0;

    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_poll_closed);
            curl_multi_assign(f->multi, socket, NULL);
        }
        return 0;
    }
    if (!w && !(w = watched_new(f, socket)))
        return -1;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return uv_poll_start(&w->poll, events, on_readiness) < 0 ? -1 : 0;
}

/* --- where it may go */

static bool may_reach(const struct fetcher *f, const struct sockaddr *address)
{
    struct in6_addr in6;

    return networks_of_sockaddr(address, &in6) == 0 &&
           (networks_is_public(&in6) || networks_have(f->config.networks, &in6));
}

/* Whatever curl has come to think of the name. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *t = arg;

    if (may_reach(t->fetcher, &address->addr))
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    t->error = refused;
    return CURL_SOCKET_BAD;
}

/* "+HOST:PORT:ADDRESS,[ADDRESS]"; NULL when one of them may not be reached, or there is no memory. */
static char *pin(struct fetch *t, const struct addrinfo *all)
{
    struct buf text = BUF_INIT(PINNED_MAX);
    char address[NI_MAXHOST];
    unsigned n = 0;

    buf_printf(&text, "+%s:%u:", t->place.host, t->place.port);
    for (; all; all = all->ai_next) {
        if (!may_reach(t->fetcher, all->ai_addr)) {
            t->error = refused;
            break;
        }
        if (n == ADDRESSES_MAX ||
            getnameinfo(all->ai_addr, all->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        buf_printf(&text, strchr(address, ':') ? "%s[%s]" : "%s%s", n++ > 0 ? "," : "", address);
    }
    if (t->error || n == 0)
        buf_free(&text);
    return buf_take(&text);
}

/* --- the request */

static size_t on_answer(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *t = arg;

    return buf_append(&t->answer, data, size * n) < 0 ? 0 : size * n;
}

static bool has_pinned(struct fetch *t, const struct addrinfo *all)
{
    _cleanup_free_ char *text = pin(t, all);

    if (text && strchr(t->place.host, ':')) /* there is no writing it there, and curl asks nobody for it */
        return true;
    t->pinned = text ? curl_slist_append(NULL, text) : NULL;
    return t->pinned && curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->pinned) == CURLE_OK;
}

static void on_impatient(uv_timer_t *timer)
{
    finish(timer->data, 0, "The name of the host could not be resolved in time.");
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *all)
{
    struct fetch *t = request->data;
    const char *error = NULL;

    t->resolving = false;
    if (!t->fetcher) {
        uv_freeaddrinfo(all);
        release(t);
        return;
    }
    uv_timer_stop(&t->patience);
    if (status < 0)
        error = "The name of the host can't be resolved.";
    else if (!has_pinned(t, all))
        error = t->error ? t->error : "There is no memory.";
    uv_freeaddrinfo(all);
    if (!error && curl_multi_add_handle(t->fetcher->multi, t->easy) != CURLM_OK)
        error = "There is no memory.";
    if (error)
        finish(t, 0, error);
}

static bool set_options(struct fetch *t, const struct fetch_request *request)
{
    CURL *c = t->easy;
    CURLcode r = CURLE_OK;
#define SET(option, value) (r = r == CURLE_OK ? curl_easy_setopt(c, option, value) : r)
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAINFO, t->fetcher->config.ca_file);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)PINNED_S);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HTTPHEADER, t->headers);
    if (t->body) {
        SET(CURLOPT_POSTFIELDS, t->body);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
#undef SET
    return r == CURLE_OK;
}

/* False when there is no memory. */
static bool add_header(struct fetch *t, const char *header)
{
    struct curl_slist *longer = curl_slist_append(t->headers, header);

    if (longer)
        t->headers = longer;
    return longer;
}

static bool prepare(struct fetch *t, const struct fetch_request *request)
{
    if (!(t->easy = curl_easy_init()) || !add_header(t, "Expect:"))
        return false;
    for (const char *const *header = request->headers; *header; header++)
        if (!add_header(t, *header))
            return false;
    if (request->body) {
        t->body = malloc(request->body_len + 1);
        if (!t->body)
            return false;
        memcpy(t->body, request->body, request->body_len);
    }
    return set_options(t, request);
}

int fetch_start(struct fetcher *f, const struct fetch_request *request, fetch_fn *fn, void *arg)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct fetch *t = calloc(1, sizeof *t);
    int r = t ? webhook_url_parse(request->url, &t->place) : -ENOMEM;

    if (r < 0) {
        free(t);
        return r;
    }
    t->fetcher = f;
    t->answer = BUF_INIT(FETCH_ANSWER_MAX);
    t->fn = fn;
    t->arg = arg;
    t->resolve.data = t->patience.data = t;
    r = prepare(t, request)
            ? uv_getaddrinfo(f->config.loop, &t->resolve, on_resolved, t->place.host, NULL, &hints)
            : -ENOMEM;
    if (r < 0) {
        destroy(t);
        return r;
    }
    t->resolving = true;
    t->handles = 1;
    uv_timer_init(f->config.loop, &t->patience);
    uv_timer_start(&t->patience, on_impatient, FETCH_RESOLVE_MS, 0);
    t->link = &f->first;
    t->next = f->first;
    if (t->next)
        t->next->link = &t->next;
    f->first = t;
    return 0;
}

/* --- all of them */

int fetcher_new(const struct fetch_config *config, struct fetcher **ret)
{
    struct fetcher *f = calloc(1, sizeof *f);
    int r;

    if (!f)
        return -ENOMEM;
    f->config = *config;
    f->multi = curl_multi_init();
    r = f->multi ? uv_timer_init(config->loop, &f->timer) : -ENOMEM;
    if (r < 0) {
        curl_multi_cleanup(f->multi);
        free(f);
        return r;
    }
    f->timer.data = f;
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    *ret = f;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    while (f->first)
        let_go(f->first);
    curl_multi_cleanup(f->multi);
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}
