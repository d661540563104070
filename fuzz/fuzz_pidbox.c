/* Control messages: whatever is published on a channel that all workers hear. Decoding must not crash, and
 * says why it refuses; whom a message means is decided in bounded time; a command that is taken can be
 * answered, and its arguments be read as Python would. */
#include "fuzz.h"

#include "core/str.h"
#include "queue/kombu.h"
#include "queue/pidbox.h"

#include <errno.h>
#include <signal.h>

#define NODE "decant@host"

static const uint64_t now_ms = UINT64_C(1795277675000);

/* Python's bool(), by the text of the value. */
static bool truthy_slowly(const json_t *value)
{
    static const char *const lies[] = {"null", "false", "\"\"", "[]", "{}"};
    _cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *end = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
        if (str_eq(text, lies[i]))
            return false;
    return !json_is_number(value) || strtod(text, &end) != 0;
}

static void read_arguments(const struct pidbox_request *r)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)r->arguments, key, value)
    {
        int number = pidbox_signal(value);

        require(pidbox_truthy(value) == truthy_slowly(value));
        require(number == -EINVAL || (number > 0 && number < NSIG));
        for (size_t i = 0; i < pidbox_count_ids(value); i++) {
            const char *id = pidbox_id(value, i);

            require(!id || *id);
        }
    }
}

static void require_reply(const struct pidbox_request *r)
{
    _cleanup_free_ char *message = NULL;
    _cleanup_kombu_ struct kombu k = {0};
    const char *why;
    int e = pidbox_encode_reply(r, NODE, 1, r->arguments, &message);

    if (e == -EMSGSIZE)
        return;
    require(e == 0);
    require(kombu_read(message, strlen(message), &k, &why) == 0);

    _cleanup_json_ json_t *body = kombu_body(&k);
    const json_t *reply = json_object_get(body, NODE), *ticket = json_object_get(k.headers, "ticket");

    require(r->arguments ? json_equal(reply, r->arguments) : json_is_null(reply));
    require(r->ticket ? json_equal(ticket, r->ticket) : json_is_null(ticket));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_pidbox_request_ struct pidbox_request r = {0};
    const char *why = NULL;
    int e = pidbox_decode((const char *)data, size, now_ms, &r, &why);

    require(e == 0 || e == -EBADMSG || e == -ETIME);
    if (e < 0) {
        require(e == -ETIME || (why && *why));
        require(!r.body);
        return 0;
    }
    require(r.method && *r.method && strlen(r.method) <= PIDBOX_NAME_MAX);
    require(!r.reply_to == !r.reply_exchange);
    if (pidbox_is_for(&r, NODE))
        read_arguments(&r);
    if (r.reply_to)
        require_reply(&r);
    return 0;
}
