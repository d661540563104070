/* Task messages. Whatever is in a list of Redis, reading it must not crash, and says why it is refused; what
 * is taken can be written again, and read again as the same task. */
#include "fuzz.h"

#include "core/str.h"
#include "queue/envelope.h"

#include <errno.h>

static void require_same(const struct envelope *e)
{
    struct envelope_task task = {.id = e->id,
                                 .name = e->name,
                                 .kwargs = e->kwargs,
                                 .queue = "q",
                                 .origin = "o",
                                 .reply_to = e->reply_to ? e->reply_to : "r"};
    _cleanup_envelope_ struct envelope again = {0};
    _cleanup_free_ char *message = NULL;
    const char *why = NULL;
    int r = envelope_encode(&task, &message);

    if (r == -EMSGSIZE) /* it came with less white space, or with shorter escapes */
        return;
    require(r == 0 && strlen(message) <= ENVELOPE_MAX_BYTES);
    r = envelope_decode(message, strlen(message), &again, &why);
    require(r == 0);
    require(str_eq(again.id, e->id) && str_eq(again.name, e->name));
    require(json_equal(again.kwargs, e->kwargs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_envelope_ struct envelope e = {0};
    const char *why = NULL;
    int r = envelope_decode((const char *)data, size, &e, &why);

    require(r == 0 || r == -EBADMSG);
    if (r < 0) {
        require(why && *why);
        return 0;
    }
    require(e.id && e.name && json_is_array(e.args) && json_is_object(e.kwargs));
    require_same(&e);
    return 0;
}
