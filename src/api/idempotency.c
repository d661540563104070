#include "api/idempotency.h"

#include "api/digest.h"
#include "core/log.h"
#include "core/str.h"
#include "engine/secrets.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { KEY_MAX = 255 };
static_assert((int)DIGEST_LEN == (int)IDEMPOTENCY_NAME_LEN, "a request is named by a digest");

/* In the request's memory. */
struct idempotency {
    struct api_call *call;
    bool open;
    char name[DIGEST_LEN + 1], fingerprint[DIGEST_LEN + 1], owner[ID_UUID_LEN + 1];
    idempotency_fn *fn;
    void *arg;
    void (*kept)(void *arg);
    void *kept_arg;
};

/* A text of printable ASCII, in quotes as the draft has it (a string of RFC 8941) or, as many send it,
 * without. False: it is neither. */
static bool read_key(const char *header, char ret[KEY_MAX + 1])
{
    bool quoted = header[0] == '"';
    size_t len = 0;
    const char *p = header + quoted;

    for (; *p && !(quoted && *p == '"'); p++) {
        if (quoted && *p == '\\' && *++p != '"' && *p != '\\')
            return false;
        if (*p < (quoted ? 0x20 : 0x21) || *p > 0x7e || len == KEY_MAX)
            return false;
        ret[len++] = *p;
    }
    ret[len] = '\0';
    return len > 0 && (quoted ? p[0] == '"' && p[1] == '\0' : true);
}

static char *canonical(const json_t *content)
{
    _cleanup_json_ json_t *copy = json_copy((json_t *)content);
    json_t *options = json_object_get(copy, "options");

    if (json_is_object(options))
        json_object_set_new(copy, "options", secrets_masked(options));
    return json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
}

/* The key is not stored, only its hash. False: no memory. */
static bool make_names(struct idempotency *i, const char *key, const json_t *content)
{
    struct http_request *req = i->call->req;
    _cleanup_free_ char *text = canonical(content);

    if (!text)
        return false;
    digest_texts((const char *const[]){key, NULL}, i->name);
    digest_texts((const char *const[]){key, http_request_method(req), http_request_path(req), text, NULL},
                 i->fingerprint);
    return true;
}

static void on_claimed(void *arg, int err, const struct idempotency_answer *before)
{
    struct idempotency *i = arg;
    struct api_call *call = i->call;

    i->open = err == 0 && !before;
    if (err == 0)
        i->fn(i->arg, before);
    else if (err == -EBUSY)
        api_fail(call, API_IDEMPOTENCY_BUSY,
                 "A request with this Idempotency-Key is under way. Ask again in a moment.");
    else if (err == -EEXIST)
        api_fail(call, API_IDEMPOTENCY_MISMATCH,
                 "This Idempotency-Key was sent with another request. Each one needs a key of its own.");
    else if (err == -ENOENT)
        api_fail(call, API_SESSION_REQUIRED, "The session has ended.");
    else
        api_fail_state(call, err);
}

void idempotency_begin(struct api_call *call, const json_t *content, idempotency_fn *fn, void *arg)
{
    const char *header = http_request_header_before(call->req, "Idempotency-Key", NULL);
    struct idempotency *i;
    char key[KEY_MAX + 1];

    if (!header || call->told) { /* within another call, the header is about that one */
        fn(arg, NULL);
        return;
    }
    if (!read_key(header, key) || http_request_header_before(call->req, "Idempotency-Key", header)) {
        api_fail(call, API_BAD_REQUEST,
                 "The header Idempotency-Key has to be one text of 1 to 255 printable characters, such as a "
                 "UUID.");
        return;
    }
    i = http_request_alloc(call->req, sizeof *i);
    *i = (struct idempotency){.call = call, .fn = fn, .arg = arg};
    id_uuid(i->owner);
    if (!make_names(i, key, content)) {
        api_fail(call, API_INTERNAL, "Out of memory.");
        return;
    }
    call->idempotency = i;
    idempotency_claim(call->api->redis, call->session.id, i->name, i->fingerprint, i->owner, on_claimed, i);
}

void idempotency_repeat(struct api_call *call, const struct idempotency_answer *before)
{
    http_reply_header(call->req, "Cache-Control", "no-store");
    http_reply_header(call->req, "Idempotent-Replayed", "true");
    api_reply(call, before->status, "application/json", before->text, before->len);
}

const char *idempotency_mark(const struct api_call *call)
{
    return call->idempotency ? call->idempotency->fingerprint : "";
}

bool idempotency_is_open(const struct api_call *call)
{
    return call->idempotency && call->idempotency->open;
}

/* Where it could not be kept the work has been done all the same, and its client is to hear of it. */
static void on_settled(void *arg, int err, const redisReply *reply)
{
    struct idempotency *i = arg;

    if (err < 0)
        log_warn("an answer could not be kept", LOG_S("request_id", http_request_id(i->call->req)),
                 LOG_E(err));
    i->kept(i->kept_arg);
}

void idempotency_end(struct api_call *call, unsigned status, const json_t *answer, void (*fn)(void *arg),
                     void *arg)
{
    struct idempotency *i = call->idempotency;
    _cleanup_free_ char *text = idempotency_is_open(call) ? json_dumps(answer, JSON_COMPACT) : NULL;

    if (!text || strlen(text) > IDEMPOTENCY_TEXT_MAX || !call->api->redis) {
        fn(arg);
        return;
    }
    i->open = false;
    i->kept = fn;
    i->kept_arg = arg;
    idempotency_settle(call->api->redis, call->session.id, i->name, i->owner,
                       &(struct idempotency_answer){status, text, strlen(text)}, on_settled, i);
}

void idempotency_abandon(struct api_call *call)
{
    struct idempotency *i = call->idempotency;

    if (!idempotency_is_open(call))
        return;
    i->open = false;
    if (call->api->redis)
        idempotency_settle(call->api->redis, call->session.id, i->name, i->owner, NULL, NULL, NULL);
}
