#include "api/kept.h"

#include "api/browser.h"
#include "http/negotiate.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <zlib.h>

enum { GZIP_WRAPPER = 16 /* added to the window's bits: RFC 1952 */, COMPRESS_FROM_BYTES = 256 };

static const char *const codings[KEPT_CODINGS] = {
    [KEPT_PLAIN] = "identity", [KEPT_GZIP] = "gzip", [KEPT_BROTLI] = "br"};

static void write_etag(struct kept_form *form)
{
    struct sha256_ctx sha256;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char *p = form->etag;

    sha256_init(&sha256);
    sha256_update(&sha256, form->len, (const uint8_t *)form->data);
    sha256_digest(&sha256, sizeof digest, digest);
    *p++ = '"';
    for (size_t i = 0; i < sizeof digest / 2; i++)
        p += sprintf(p, "%02x", digest[i]);
    *p++ = '"';
    *p = '\0';
}

void kept_set(struct kept *kept, enum kept_coding coding, char *data, size_t len)
{
    struct kept_form *form = &kept->forms[coding];

    free(form->data);
    form->data = data;
    form->len = len;
    write_etag(form);
}

int kept_compress(struct kept *kept)
{
    const struct kept_form *plain = &kept->forms[KEPT_PLAIN];
    z_stream s = {.next_in = (z_const Bytef *)plain->data, .avail_in = (uInt)plain->len};
    _cleanup_free_ char *out = NULL;
    int r;

    if (kept->forms[KEPT_GZIP].data || plain->len < COMPRESS_FROM_BYTES)
        return 0;
    if (deflateInit2(&s, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    s.avail_out = (uInt)deflateBound(&s, (uLong)plain->len);
    out = malloc(s.avail_out);
    s.next_out = (Bytef *)out;
    r = out ? deflate(&s, Z_FINISH) : Z_MEM_ERROR;
    deflateEnd(&s);
    if (r != Z_STREAM_END)
        return -ENOMEM;
    if (s.total_out < plain->len)
        kept_set(kept, KEPT_GZIP, TAKE_PTR(out), s.total_out);
    return 0;
}

void kept_clear(struct kept *kept)
{
    for (size_t i = 0; i < KEPT_CODINGS; i++)
        free(kept->forms[i].data);
    *kept = (struct kept){0};
}

/* The plain one is there for everybody, also for who says that he doesn't take it. */
static enum kept_coding choose(const struct kept *kept, const char *accept_encoding)
{
    enum kept_coding best = KEPT_PLAIN;
    unsigned best_q = negotiate_coding(accept_encoding, codings[KEPT_PLAIN]);

    for (enum kept_coding i = KEPT_PLAIN + 1; i < KEPT_CODINGS; i++) {
        unsigned q = kept->forms[i].data ? negotiate_coding(accept_encoding, codings[i]) : 0;

        if (q > best_q || (q > 0 && q == best_q && kept->forms[i].len < kept->forms[best].len)) {
            best = i;
            best_q = q;
        }
    }
    return best;
}

static bool has_choice(const struct kept *kept)
{
    for (enum kept_coding i = KEPT_PLAIN + 1; i < KEPT_CODINGS; i++)
        if (kept->forms[i].data)
            return true;
    return false;
}

void kept_reply(struct api_call *call, const struct kept *kept)
{
    struct http_request *req = call->req;
    enum kept_coding coding = choose(kept, http_request_header(req, "Accept-Encoding"));
    const struct kept_form *form = &kept->forms[coding];

    http_reply_header(req, "Cache-Control", kept->cache);
    http_reply_header(req, "ETag", form->etag);
    if (has_choice(kept))
        browser_vary(req, "Accept-Encoding");
    if (negotiate_has(http_request_header(req, "If-None-Match"), form->etag)) {
        api_reply(call, 304, NULL, "", 0);
        return;
    }
    if (coding != KEPT_PLAIN)
        http_reply_header(req, "Content-Encoding", codings[coding]);
    api_reply_static(call, 200, kept->type, form->data, form->len);
}
