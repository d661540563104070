/* A file on its way to a server.
 *
 * A small one goes in one request, and all of it again when that breaks. A large one goes in pieces, by tus
 * 1.0.0 (docs/api.md, "Resumable uploads"): the server says how far it is, and what comes next is sent. Each
 * piece has its checksum, and counts when it is whole; where connections don't last for one, pieces become
 * smaller, down to what any line should carry. */
#include "client/jobs.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>

enum {
    LARGE = 4 << 20, /* as for the page */
    PIECE_MAX = 8 << 20,
    PIECE_MIN = 256 << 10,
    HASH_STEP = 64 << 10,
    PATH_BYTES_MAX = 64,
    HEADER_BYTES_MAX = 512, /* a name of NAME_MAX bytes in base64 */
};

#define TUS_VERSION "Tus-Resumable: 1.0.0"

struct upload {
    struct jobs_caller *c;
    int fd;
    uint64_t size, offset; /* of which the server has so many bytes */
    uint64_t piece;
    char path[PATH_BYTES_MAX];
    jobs_progress_fn *fn;
    void *arg;
};

static int fail_answer(struct upload *u)
{
    return remote_fail(&u->c->fault, -EPROTO, "server_error", "The answer to an upload is not understood.");
}

/* --- in one request */

static int send_whole(struct upload *u, const char *name, char ret_id[ID_UUID_LEN + 1])
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    _cleanup_json_ json_t *job = NULL;
    const char *id;
    int r;

    x.method = "POST";
    x.file = u->fd;
    x.file_name = name;
    x.file_size = u->size;
    x.progress = u->fn;
    x.progress_arg = u->arg;
    r = remote_call(u->c->remote, &u->c->line, "/upload", &x, &u->c->fault);
    if (r < 0)
        return r;
    job = remote_json(&x, &u->c->fault);
    if (!job)
        return -EPROTO;
    id = json_string_value(json_object_get(job, "job_id"));
    if (!id_is_uuid(id))
        return fail_answer(u);
    memcpy(ret_id, id, ID_UUID_LEN + 1);
    return 0;
}

/* --- in pieces */

static void encode(const void *data, size_t len, char *ret)
{
    base64_encode_raw(ret, len, data);
    ret[BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
}

/* Its room is taken, and it has an id, which its job will have, too. */
static int announce(struct upload *u, const char *name, char ret_id[ID_UUID_LEN + 1])
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    char length[64], encoded[BASE64_ENCODE_RAW_LENGTH(NAME_MAX) + 1], metadata[HEADER_BYTES_MAX];
    const char *const headers[] = {TUS_VERSION, length, metadata, NULL};
    const char *id;
    int r;

    encode(name, strnlen(name, NAME_MAX), encoded);
    snprintf(length, sizeof length, "Upload-Length: %" PRIu64, u->size);
    snprintf(metadata, sizeof metadata, "Upload-Metadata: filename %s", encoded);
    x.method = "POST";
    x.headers = headers;
    r = remote_call(u->c->remote, &u->c->line, "/files", &x, &u->c->fault);
    if (r < 0)
        return r;
    id = x.location ? str_base_name(x.location) : "";
    if (!id_is_uuid(id))
        return fail_answer(u);
    memcpy(ret_id, id, ID_UUID_LEN + 1);
    snprintf(u->path, sizeof u->path, "/files/%s", id);
    return 0;
}

/* Where the server stands. It stops what it still reads of a connection that is dead. */
static int ask_offset(struct upload *u)
{
    static const char *const headers[] = {TUS_VERSION, NULL};
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    int r;

    x.method = "HEAD";
    x.headers = headers;
    r = remote_call(u->c->remote, &u->c->line, u->path, &x, &u->c->fault);
    if (r < 0)
        return r;
    if (x.upload_offset < 0 || (uint64_t)x.upload_offset > u->size)
        return fail_answer(u);
    u->offset = (uint64_t)x.upload_offset;
    return 0;
}

static int hash_piece(struct upload *u, uint64_t len,
                      char ret[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1])
{
    uint8_t bytes[HASH_STEP], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha256;
    ssize_t n;

    sha256_init(&sha256);
    for (uint64_t at = 0; at < len; at += (uint64_t)n) {
        n = path_read(u->fd, u->offset + at, bytes,
                      len - at < sizeof bytes ? (size_t)(len - at) : sizeof bytes);
        if (n < 0)
            return remote_fail(&u->c->fault, -ENODATA, "input_unreadable", "%s",
                               strerror((int)-n)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
        if (n == 0)
            break; /* it has become shorter: whoever sends it will find that, too */
        sha256_update(&sha256, (size_t)n, bytes);
    }
    sha256_digest(&sha256, sizeof digest, digest);
    encode(digest, sizeof digest, ret);
    return 0;
}

static void on_piece(void *arg, uint64_t done, uint64_t total)
{
    const struct upload *u = arg;

    u->fn(u->arg, u->offset + done, u->size);
}

/* One try. After the last byte the server looks at the file, and the answer is what it thinks of it; without
 * any byte this asks for that answer again. */
static int send_piece(struct upload *u, struct exchange *x)
{
    uint64_t left = u->size - u->offset, len = left < u->piece ? left : u->piece;
    char digest[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1], offset[64], checksum[128];
    const char *const headers[] = {TUS_VERSION, "Content-Type: application/offset+octet-stream", offset,
                                   checksum, NULL};
    int r = hash_piece(u, len, digest);

    if (r < 0)
        return r;
    snprintf(offset, sizeof offset, "Upload-Offset: %" PRIu64, u->offset);
    snprintf(checksum, sizeof checksum, "Upload-Checksum: sha256 %s", digest);
    x->method = "PATCH";
    x->headers = headers;
    x->file = u->fd;
    x->file_offset = u->offset;
    x->file_size = len;
    x->progress = u->fn ? on_piece : NULL;
    x->progress_arg = u;
    r = remote_try(u->c->remote, &u->c->line, u->path, x, &u->c->fault);
    x->headers = NULL;
    if (r < 0)
        return r;
    if (x->upload_offset != (int64_t)(u->offset + len))
        return fail_answer(u);
    u->offset += len;
    return 0;
}

static int send_pieces(struct upload *u)
{
    struct remote_patience patience = {0};
    bool done = false;

    while (!done) {
        _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
        int r = send_piece(u, &x);

        if (r == 0) {
            done = u->offset == u->size;
            u->piece = u->piece < PIECE_MAX ? u->piece * 2 : PIECE_MAX;
            patience = (struct remote_patience){0}; /* it gets on, however often it breaks */
            continue;
        }
        r = remote_again(u->c->remote, &x, r, &patience, &u->c->fault);
        if (r == 0)
            r = ask_offset(u);
        if (r < 0)
            return r;
        u->piece = u->piece > PIECE_MIN ? u->piece / 2 : PIECE_MIN;
    }
    return 0;
}

int jobs_upload(struct jobs_caller *c, int fd, const char *name, uint64_t size, jobs_progress_fn *fn,
                void *arg, char ret_id[ID_UUID_LEN + 1])
{
    struct upload u = {.c = c, .fd = fd, .size = size, .piece = PIECE_MAX, .fn = fn, .arg = arg};
    int r;

    /* A name of other bytes is for a form alone. */
    if (size < LARGE || !utf8_valid(name, strlen(name)))
        return send_whole(&u, name, ret_id);
    r = announce(&u, name, ret_id);
    return r < 0 ? r : send_pieces(&u);
}
