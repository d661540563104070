#include "client/exchange.h"

#include "core/path.h"
#include "core/str.h"
#include "core/xalloc.h"

#include <curl/curl.h>
#include <errno.h>
#include <strings.h>

enum { CONNECT_S = 15, HEADER_MAX = 8192, STATUS_OK = 200, STATUS_PARTIAL = 206, STATUS_REDIRECTS = 300 };

/* --- headers of the answer */

/* "NAME=VALUE; Path=…" → VALUE. */
static void take_cookie(const char *value, size_t len, const char *name, char **ret)
{
    size_t name_len = strlen(name);
    const char *end;

    if (len <= name_len || strncmp(value, name, name_len) != 0 || value[name_len] != '=')
        return;
    value += name_len + 1;
    len -= name_len + 1;
    end = memchr(value, ';', len);
    cleanup_secret(ret);
    *ret = xstrndup(value, end ? (size_t)(end - value) : len);
}

static void take_retry_after(struct exchange *x, const char *value, size_t len)
{
    _cleanup_free_ char *text = xstrndup(value, len);
    uint64_t seconds;

    if (str_to_u64(text, 0, UINT32_MAX, &seconds) == 0)
        x->retry_after_s = (unsigned)seconds;
}

static void take_upload_offset(struct exchange *x, const char *value, size_t len)
{
    _cleanup_free_ char *text = xstrndup(value, len);
    uint64_t offset;

    if (str_to_u64(text, 0, INT64_MAX, &offset) == 0)
        x->upload_offset = (int64_t)offset;
}

static void take_text(char **ret, const char *value, size_t len)
{
    free(*ret);
    *ret = xstrndup(value, len);
}

static const char *value_of(const char *line, size_t len, const char *name, size_t *ret_len)
{
    size_t name_len = strlen(name);

    if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
        return NULL;
    line += name_len + 1;
    len -= name_len + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && strchr("\r\n \t", line[len - 1]))
        len--;
    *ret_len = len;
    return line;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const char *value;
    size_t len;

    if ((value = value_of(line, size * n, "Retry-After", &len)))
        take_retry_after(x, value, len);
    if ((value = value_of(line, size * n, "Upload-Offset", &len)))
        take_upload_offset(x, value, len);
    if ((value = value_of(line, size * n, "Location", &len)))
        take_text(&x->location, value, len);
    if ((value = value_of(line, size * n, "Content-Type", &len)))
        take_text(&x->type, value, len);
    if (value_of(line, size * n, "X-Job-Id", &len))
        x->has_job_id = true;
    if ((value = value_of(line, size * n, "Set-Cookie", &len))) {
        take_cookie(value, len, "refresh_token", &x->refresh_token);
        take_cookie(value, len, "decant_device", &x->device);
    }
    return size * n;
}

/* --- bodies */

struct transfer {
    struct exchange_line *line;
    struct exchange *x;
    uint64_t read; /* of the file */
    bool sinking;  /* the answer is one for the sink */
    int sink_error, file_error;
};

/* Whole again: the server doesn't go on where it was asked to. */
static int begin_sinking(struct transfer *t, long status)
{
    t->sinking = true;
    if (status == STATUS_PARTIAL || t->x->offset == 0)
        return 0;
    t->x->offset = 0;
    return ftruncate(t->x->sink, 0) < 0 ? -errno : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct exchange *x = t->x;
    size_t len = size * n;
    long status = 0;

    curl_easy_getinfo((CURL *)t->line->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->sink < 0 || (status != STATUS_OK && status != STATUS_PARTIAL))
        return buf_append(&x->body, data, len) < 0 ? 0 : len;
    if (!t->sinking)
        t->sink_error = begin_sinking(t, status);
    if (t->sink_error == 0)
        t->sink_error = path_write(x->sink, x->offset, data, len);
    if (t->sink_error < 0)
        return 0;
    x->offset += len;
    return len;
}

static size_t on_file(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    uint64_t left = t->x->file_size - t->read;
    size_t len = size * n < left ? size * n : (size_t)left;
    ssize_t got = path_read(t->x->file, t->x->file_offset + t->read, data, len);

    if (got == 0 && left > 0)
        got = -ENODATA; /* it has become shorter meanwhile */
    if (got < 0) {
        t->file_error = (int)got;
        return CURL_READFUNC_ABORT;
    }
    t->read += (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->read = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *arg, curl_off_t total_in, curl_off_t in, curl_off_t total_out, curl_off_t out)
{
    struct transfer *t = arg;
    struct exchange *x = t->x;

    if (x->progress && x->file >= 0)
        x->progress(x->progress_arg, (uint64_t)out, (uint64_t)total_out);
    else if (x->progress && t->sinking)
        x->progress(x->progress_arg, x->offset, x->offset - (uint64_t)in + (uint64_t)total_in);
    return t->line->stop && atomic_load(t->line->stop) != 0;
}

/* --- the request */

struct parts {
    struct curl_slist *headers;
    curl_mime *form;
    char cookie[HEADER_MAX], range[32];
};

static void parts_clear(struct parts *p)
{
    curl_slist_free_all(p->headers);
    curl_mime_free(p->form);
    explicit_bzero(p->cookie, sizeof p->cookie);
}

static int add_header(struct parts *p, const char *header)
{
    struct curl_slist *longer = curl_slist_append(p->headers, header);

    if (!longer)
        return -ENOMEM;
    p->headers = longer;
    return 0;
}

static int add_headers(struct parts *p, const struct exchange *x)
{
    int r = add_header(p, "Expect:");

    if (r == 0)
        r = add_header(p, "Accept: */*");
    if (r == 0 && x->json)
        r = add_header(p, "Content-Type: application/json");
    for (size_t i = 0; r == 0 && x->headers && x->headers[i]; i++)
        r = add_header(p, x->headers[i]);
    return r;
}

static int add_fields(struct parts *p, const struct exchange_field *field)
{
    for (; field && field->name; field++) {
        curl_mimepart *part = curl_mime_addpart(p->form);

        if (!part || curl_mime_name(part, field->name) != CURLE_OK ||
            curl_mime_data(part, field->text, CURL_ZERO_TERMINATED) != CURLE_OK)
            return -ENOMEM;
    }
    return 0;
}

/* Its name as the server will know it: curl quotes it. */
static int make_form(CURL *curl, struct parts *p, struct transfer *t)
{
    curl_mimepart *part;

    p->form = curl_mime_init(curl);
    if (!p->form || add_fields(p, t->x->fields) < 0)
        return -ENOMEM;
    part = curl_mime_addpart(p->form);
    if (!part || curl_mime_name(part, "file") != CURLE_OK ||
        curl_mime_filename(part, t->x->file_name) != CURLE_OK ||
        curl_mime_type(part, "application/octet-stream") != CURLE_OK ||
        curl_mime_data_cb(part, (curl_off_t)t->x->file_size, on_file, on_seek, NULL, t) != CURLE_OK)
        return -ENOMEM;
    return 0;
}

#define SET(option, value) (r = r == CURLE_OK ? curl_easy_setopt(curl, option, value) : r)
static int set_body(CURL *curl, struct parts *p, struct transfer *t)
{
    const struct exchange *x = t->x;
    CURLcode r = CURLE_OK;

    if (p->form) {
        SET(CURLOPT_MIMEPOST, p->form);
    } else if (x->file >= 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_READFUNCTION, on_file);
        SET(CURLOPT_READDATA, t);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, t);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->file_size);
    } else if (x->json || str_eq(x->method, "POST")) {
        SET(CURLOPT_POSTFIELDS, x->json ? x->json : "");
    } else if (str_eq(x->method, "HEAD")) {
        SET(CURLOPT_NOBODY, 1L);
    }
    return r == CURLE_OK ? 0 : -ENOMEM;
}

static int set_options(CURL *curl, struct parts *p, struct transfer *t)
{
    struct exchange *x = t->x;
    CURLcode r = CURLE_OK;

    SET(CURLOPT_URL, x->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "decant/" DECANT_VERSION);
    SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, x->stall_s ? (long)x->stall_s : (long)EXCHANGE_STALL_S);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_HTTPHEADER, p->headers);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
    SET(CURLOPT_ERRORBUFFER, x->error);
    if (t->line->ca_file) {
        SET(CURLOPT_CAINFO, t->line->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (str_starts(x->url, "http://")) /* what is in the clear goes to that very server */
        SET(CURLOPT_PROXY, "");
    if (x->bearer) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(CURLOPT_XOAUTH2_BEARER, x->bearer);
    }
    if (x->cookie)
        SET(CURLOPT_COOKIE, p->cookie);
    if (x->offset > 0 && str_eq(x->method, "GET")) /* what is made anew may be other bytes */
        SET(CURLOPT_RANGE, p->range);
    SET(CURLOPT_CUSTOMREQUEST, x->method);
    return r == CURLE_OK ? set_body(curl, p, t) : -ENOMEM;
}
#undef SET

static int prepare(CURL *curl, struct parts *p, struct transfer *t)
{
    const struct exchange *x = t->x;
    int r = add_headers(p, x);

    if (r == 0 && x->cookie &&
        snprintf(p->cookie, sizeof p->cookie, "%s", x->cookie) >= (int)sizeof p->cookie)
        r = -EMSGSIZE;
    snprintf(p->range, sizeof p->range, "%llu-", (unsigned long long)x->offset);
    if (r == 0 && x->file_name)
        r = make_form(curl, p, t);
    return r == 0 ? set_options(curl, p, t) : r;
}

/* --- how it went */

static int error_of(CURLcode code, const struct transfer *t)
{
    static const struct {
        CURLcode code;
        int error;
    } errors[] = {
        {CURLE_COULDNT_CONNECT, -ENOTCONN},       {CURLE_COULDNT_RESOLVE_HOST, -ENOTCONN},
        {CURLE_COULDNT_RESOLVE_PROXY, -ENOTCONN}, {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
        {CURLE_SEND_ERROR, -ECONNRESET},          {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_GOT_NOTHING, -ECONNRESET},         {CURLE_PARTIAL_FILE, -ECONNRESET},
        {CURLE_ABORTED_BY_CALLBACK, -ECANCELED},  {CURLE_OUT_OF_MEMORY, -ENOMEM},
    };

    if (t->sink_error < 0)
        return -EIO;
    if (t->file_error < 0)
        return -ENODATA;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (errors[i].code == code)
            return errors[i].error;
    return -EPROTO;
}

/* What to do about it, where libcurl's words are for who knows TLS. */
static void add_hint(struct exchange *x, CURLcode code)
{
    size_t len = strlen(x->error);

    if (code == CURLE_PEER_FAILED_VERIFICATION)
        snprintf(x->error + len, sizeof x->error - len,
                 "; --ca-file names the authorities of a server that has none of the system's");
    else if (code == CURLE_SSL_CONNECT_ERROR)
        snprintf(x->error + len, sizeof x->error - len,
                 "; the address of a server without TLS begins with http://");
}

static void explain(struct exchange *x, CURLcode code, const struct transfer *t)
{
    int error = t->sink_error < 0 ? t->sink_error : t->file_error;

    if (error == -ENODATA)
        snprintf(x->error, sizeof x->error, "It has become shorter while it was sent.");
    else if (error < 0)
        snprintf(x->error, sizeof x->error, "%s",
                 strerror(-error)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
    else if (code == CURLE_URL_MALFORMAT)
        snprintf(x->error, sizeof x->error, "This is no address of a server.");
    else if (!*x->error)
        snprintf(x->error, sizeof x->error, "%s", curl_easy_strerror(code)); // NOLINT(concurrency-mt-unsafe)
}

static int perform(CURL *curl, struct transfer *t)
{
    struct exchange *x = t->x;
    CURLcode code = curl_easy_perform(curl);

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        explain(x, code, t);
        add_hint(x, code);
        return error_of(code, t);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &x->status);
    *x->error = '\0';
    if (x->status < STATUS_REDIRECTS || x->status >= 400)
        return 0;
    snprintf(
        x->error, sizeof x->error,
        "The server sends us elsewhere (%ld), and a credential doesn't follow: name it by its own address.",
        x->status);
    return -EPROTO;
}

int exchange_run(struct exchange_line *line, struct exchange *x)
{
    _cleanup_(parts_clear) struct parts parts = {0};
    struct transfer transfer = {.line = line, .x = x};
    int r;

    exchange_clear(x);
    curl_easy_reset(line->curl); /* connections stay */
    r = prepare(line->curl, &parts, &transfer);
    if (r < 0) {
        snprintf(x->error, sizeof x->error, "%s", strerror(-r)); // NOLINT(concurrency-mt-unsafe)
        return r;
    }
    return perform(line->curl, &transfer);
}

void exchange_clear(struct exchange *x)
{
    buf_free(&x->body);
    x->body = BUF_INIT(EXCHANGE_ANSWER_MAX);
    x->body.secret = true;
    cleanup_secret(&x->refresh_token);
    cleanup_secret(&x->device);
    x->refresh_token = x->device = NULL;
    free(x->location);
    free(x->type);
    x->location = x->type = NULL;
    x->has_job_id = false;
    x->upload_offset = -1;
    x->status = 0;
    x->retry_after_s = 0;
    *x->error = '\0';
}

int exchange_line_open(struct exchange_line *line)
{
    line->curl = curl_easy_init();
    return line->curl ? 0 : -ENOMEM;
}

void exchange_line_close(struct exchange_line *line)
{
    curl_easy_cleanup(line->curl);
    line->curl = NULL;
}
