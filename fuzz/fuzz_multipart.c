/* The multipart parser. An input is a Content-Type up to the first newline, then a body. Whatever it is, the
 * parser must not crash, must keep to its contract with the events, and must say the same for the body whole
 * and in pieces. */
#include "fuzz.h"

#include "http/multipart.h"

struct digest {
    uint64_t hash;
    size_t parts, bytes;
    int open;
};

static void mix(struct digest *digest, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        digest->hash = (digest->hash ^ p[i]) * 0x100000001b3;
}

static int on_begin(void *arg, const struct multipart_part *part)
{
    struct digest *digest = arg;

    require(!digest->open && part->name);
    digest->open = 1;
    digest->parts++;
    mix(digest, part->name, strlen(part->name) + 1);
    if (part->filename)
        mix(digest, part->filename, strlen(part->filename) + 1);
    if (part->content_type)
        mix(digest, part->content_type, strlen(part->content_type) + 1);
    return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
    struct digest *digest = arg;

    require(digest->open && len > 0);
    digest->bytes += len;
    mix(digest, data, len);
    return 0;
}

static int on_end(void *arg)
{
    struct digest *digest = arg;

    require(digest->open);
    digest->open = 0;
    mix(digest, "end", 3);
    return 0;
}

static int parse(const char *type, const uint8_t *body, size_t len, size_t step, struct digest *ret)
{
    static const struct multipart_events events = {.begin = on_begin, .data = on_data, .end = on_end};
    struct multipart *m;
    int r;

    *ret = (struct digest){.hash = 0xcbf29ce484222325};
    if (multipart_new(type, &events, ret, &m) < 0)
        return -1;
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < step ? len - at : step;
        if (multipart_feed(m, body + at, n) < 0)
            break;
    }
    r = multipart_finish(m);
    require(r < 0 || !ret->open);
    multipart_free(m);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    struct digest whole, pieces;
    char *type;
    int r;

    if (!newline)
        return 0;
    type = strndup((const char *)data, (size_t)(newline - data));
    size -= (size_t)(newline + 1 - data);
    r = parse(type, newline + 1, size, size, &whole);
    require(whole.bytes <= size);
    for (size_t step = 1; step < 20; step += 3) {
        require(parse(type, newline + 1, size, step, &pieces) == r);
        require(pieces.hash == whole.hash && pieces.parts == whole.parts);
    }
    free(type);
    return 0;
}
