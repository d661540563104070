#include "api/archive.h"

#include "api/download.h"
#include "api/metrics.h"
#include "core/log.h"
#include "core/path.h"
#include "core/str.h"
#include "core/zip.h"

#include <errno.h>
#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
    PIECE_BYTES = 64 * 1024,
    SUM_BYTES_A_TURN = 8 * 1024 * 1024, /* a few milliseconds of a thread that others want, too */
    HEADER_BYTES_MAX = 1024,
    DIRECTORY_BYTES_MAX = TOKEN_RESULTS_MAX * HEADER_BYTES_MAX,
};

typedef char file_name[FILENAME_MAX_BYTES + 1];

struct member {
    char job_id[ID_UUID_LEN + 1], path[STORAGE_PATH_MAX];
    struct zip_entry entry;
    uint64_t summed, sent;
};

struct archive {
    struct api *api;
    struct api_call *call; /* until it has its answer */
    api_handler *gone;     /* … which is this when a result is missing */
    struct http_request *req;
    const struct client_names *client; /* whose slot it has, until the request ends */
    uv_work_t work;
    bool working, ended;
    int err; /* of the work */
    char session_id[ID_TOKEN_LEN + 1];
    size_t n, at;
    uint64_t len, given;
    int fd; /* of members[at]; -1: not open */
    size_t piece_len;
    char *piece;          /* PIECE_BYTES */
    struct buf directory; /* when all files have been sent */
    file_name *names;
    char filename[FILENAME_MAX_BYTES + 1]; /* the archive's */
    struct member members[];
};

/* --- names */

static bool is_taken(const file_name *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

void archive_name(const file_name *names, size_t n, file_name name)
{
    file_name wanted;

    memcpy(wanted, name, sizeof wanted);
    for (unsigned number = 2; is_taken(names, n, name); number++)
        filename_number(wanted, number, name);
}

/* --- in a thread of libuv's */

/* A result that is as it was when the archive began; of an entry without a size, whatever it is. */
static int open_member(struct archive *a, struct member *m)
{
    char path[STORAGE_PATH_MAX];
    _cleanup_close_ int fd = storage_open_result(a->api->storage, a->session_id, m->job_id, m->path, path);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (m->entry.size > 0 && m->entry.size != (uint64_t)st.st_size)
        return -ESTALE;
    m->entry.size = m->entry.packed = (uint64_t)st.st_size;
    m->entry.modified = st.st_mtime;
    a->fd = TAKE_FD(fd);
    return 0;
}

static void close_member(struct archive *a)
{
    if (a->fd >= 0)
        close(TAKE_FD(a->fd));
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
    return n < most ? n : most;
}

/* Exactly what is wanted: a file that has become shorter is an error. */
static int read_exactly(int fd, uint64_t offset, char *to, size_t len)
{
    ssize_t n = path_read(fd, offset, to, len);

    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : -ESTALE;
}

static int sum(struct archive *a, struct member *m)
{
    const uint64_t until = at_most(m->entry.size, m->summed + SUM_BYTES_A_TURN);
    int r = 0;

    while (r == 0 && m->summed < until) {
        size_t n = (size_t)at_most(until - m->summed, PIECE_BYTES);

        r = read_exactly(a->fd, m->summed, a->piece, n);
        if (r == 0)
            m->entry.crc = (uint32_t)crc32_z(m->entry.crc, (const Bytef *)a->piece, n);
        m->summed += n;
    }
    return r;
}

/* The local record, and as much behind it as there is room for. */
static int fill_piece(struct archive *a, struct member *m)
{
    _cleanup_buf_ struct buf header = BUF_INIT(HEADER_BYTES_MAX);
    size_t n;
    int r;

    if (m->sent == 0)
        zip_put_local(&header, &m->entry);
    if (buf_error(&header))
        return buf_error(&header);
    n = (size_t)at_most(m->entry.size - m->sent, PIECE_BYTES - header.len);
    if (header.len > 0)
        memcpy(a->piece, header.data, header.len);
    r = read_exactly(a->fd, m->sent, a->piece + header.len, n);
    m->sent += n;
    a->piece_len = header.len + n;
    return r;
}

/* One turn: a piece, or none yet of a file whose checksum takes longer. */
static void work_on(uv_work_t *work)
{
    struct archive *a = work->data;
    struct member *m = &a->members[a->at];

    a->piece_len = 0;
    a->err = a->fd < 0 ? open_member(a, m) : 0;
    if (a->err == 0 && m->summed < m->entry.size)
        a->err = sum(a, m);
    if (a->err == 0 && m->summed == m->entry.size)
        a->err = fill_piece(a, m);
    if (a->err < 0 || (a->piece_len > 0 && m->sent == m->entry.size))
        close_member(a);
}

/* All are looked at before a byte is sent. */
static void look(uv_work_t *work)
{
    struct archive *a = work->data;

    a->err = 0;
    for (size_t i = 0; a->err == 0 && i < a->n; i++) {
        a->err = open_member(a, &a->members[i]);
        close_member(a);
        if (a->err == 0 && a->members[i].entry.size == 0)
            a->err = -ESTALE; /* no result is empty */
    }
}

/* --- on the loop */

static void archive_free(struct archive *a)
{
    if (a->fd >= 0)
        close(a->fd);
    free(a->piece);
    free(a->names);
    buf_free(&a->directory);
    free(a);
}

/* The request has ended; what broke off is not counted. */
static void on_end(void *arg)
{
    struct archive *a = arg;

    a->ended = true;
    slots_release(a->api->archives, a->client);
    if (!http_request_gone(a->req) && a->given == a->len && a->len > 0)
        metrics_download(a->api->metrics, a->len);
    if (!a->working)
        archive_free(a);
}

static void go_on(struct archive *a, uv_work_cb work, uv_after_work_cb after)
{
    a->working = true;
    a->work.data = a;
    uv_queue_work(a->api->loop, &a->work, work, after);
}

/* False: the request has ended meanwhile, and so has the archive. */
static bool still_wanted(struct archive *a)
{
    a->working = false;
    if (!a->ended)
        return true;
    archive_free(a);
    return false;
}

static void give(struct archive *a, const void *data, size_t len)
{
    a->given += len;
    http_source_give(a->req, data, len);
}

static void on_worked(uv_work_t *work, int status)
{
    struct archive *a = work->data;

    if (!still_wanted(a))
        return;
    if (a->err < 0) {
        log_warn("an archive broke off: a result can't be read any more",
                 LOG_S("request_id", http_request_id(a->req)), LOG_E(a->err));
        http_source_break(a->req);
        return;
    }
    if (a->piece_len == 0) {
        go_on(a, work_on, on_worked);
        return;
    }
    if (a->members[a->at].sent == a->members[a->at].entry.size)
        a->at++;
    give(a, a->piece, a->piece_len);
}

/* `offset`: where it begins. */
static void put_directory(const struct archive *a, uint64_t offset, struct buf *out)
{
    for (size_t i = 0; i < a->n; i++)
        zip_put_central(out, &a->members[i].entry);
    zip_put_end(out, a->n, offset, out->len);
}

static void want(void *arg)
{
    struct archive *a = arg;

    if (a->at < a->n) {
        go_on(a, work_on, on_worked);
        return;
    }
    put_directory(a, a->given, &a->directory);
    give(a, a->directory.data, a->directory.len);
}

/* Where each entry begins, and the length of all: records are as long with a checksum as without. */
static int lay_out(struct archive *a)
{
    _cleanup_buf_ struct buf header = BUF_INIT(DIRECTORY_BYTES_MAX);

    for (size_t i = 0; i < a->n; i++) {
        struct zip_entry *entry = &a->members[i].entry;

        entry->offset = a->len;
        entry->name = a->names[i];
        header.len = 0;
        zip_put_local(&header, entry);
        a->len += header.len + entry->size;
    }
    header.len = 0;
    put_directory(a, a->len, &header);
    a->len += header.len;
    return buf_error(&header);
}

static void on_looked(uv_work_t *work, int status)
{
    struct archive *a = work->data;
    struct api_call *call = a->call;

    a->working = false;
    a->call = NULL;
    if (a->ended) {
        archive_free(a);
        api_abandon(call);
        return;
    }
    if (a->err < 0) {
        a->gone(call);
        return;
    }
    if (lay_out(a) < 0) {
        api_fail(call, API_INTERNAL, "Out of memory.");
        return;
    }
    download_headers(call, a->filename);
    http_reply_header(call->req, "X-Accel-Buffering", "no"); /* a proxy is to wait for the client, too */
    http_reply_source(call->req, "application/zip", a->len, want, a);
    api_abandon(call);
}

/* --- the beginning */

static struct archive *archive_new(struct api_call *call, size_t n)
{
    struct archive *a = calloc(1, sizeof *a + n * sizeof a->members[0]);

    if (!a)
        return NULL;
    a->api = call->api;
    a->call = call;
    a->req = call->req;
    a->client = &call->client;
    a->fd = -1;
    a->n = n;
    a->directory = BUF_INIT(DIRECTORY_BYTES_MAX);
    a->piece = malloc(PIECE_BYTES);
    a->names = calloc(n, sizeof *a->names);
    if (a->piece && a->names)
        return a;
    archive_free(a);
    return NULL;
}

/* As a link to that result alone would name it. */
static void add_member(struct archive *a, size_t i, const struct token_result *result)
{
    struct member *m = &a->members[i];
    const struct job job = {.converted_path = result->file_path, .target_format = "bin"};
    file_name clean;

    snprintf(m->job_id, sizeof m->job_id, "%s", result->job_id);
    snprintf(m->path, sizeof m->path, "%s", result->file_path); /* looked at when it is opened */

    /* Not every name came by an upload, which does this. */
    filename_clean(result->original_filename, clean);
    filename_replace_extension(*clean ? clean : "file", job_output_extension(&job), a->names[i]);
    archive_name(a->names, i, a->names[i]);
}

void archive_send(struct api_call *call, const struct token_archive *what, api_handler *gone)
{
    struct archive *a;

    if (slots_take(call->api->archives, &call->client) < 0) {
        api_fail(call, API_RATE_LIMITED,
                 "As many archives are being sent as may be at once. Try again in a moment.");
        return;
    }
    a = archive_new(call, what->n);
    if (!a) {
        slots_release(call->api->archives, &call->client);
        api_fail(call, API_INTERNAL, "Out of memory.");
        return;
    }
    a->gone = gone;
    snprintf(a->session_id, sizeof a->session_id, "%s", what->session_id);
    snprintf(a->filename, sizeof a->filename, "%s", what->filename);
    for (size_t i = 0; i < a->n; i++)
        add_member(a, i, &what->results[i]);
    go_on(a, look, on_looked);
    http_request_on_end(call->req, on_end, a); /* last: if it is called at once, on_looked() ends all */
}

static void on_token(void *arg, int err, size_t job, const struct token_archive *token)
{
    struct api_call *call = arg;

    if (err == -ENOENT)
        download_fail_token(call);
    else if (err < 0)
        api_fail_state(call, err);
    else
        archive_send(call, token, download_fail_token);
}

void api_download_archive(struct api_call *call)
{
    const char *token = http_request_query(call->req, "token");

    if (token)
        token_load_archive(call->api->redis, token, on_token, call);
    else
        api_fail(call, API_BAD_REQUEST, "The parameter \"token\" is missing.");
}
