/* The decoding of messages between processes. An input is how many fields there are, a byte for each that
 * says how it is read, and the body of the message. */
#include "fuzz.h"

#include "core/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_msg_ struct msg m, again;
    size_t fields = size > 0 ? data[0] : 0, strings = 0;

    msg_init(&m, 1);
    msg_init(&again, 1);
    if (size < 1 + fields || buf_append(&m.body, data + 1 + fields, size - 1 - fields) < 0)
        return 0;
    for (size_t i = 0; i < fields; i++) {
        uint8_t how = data[1 + i];

        if (how & 1) {
            const char *s = msg_get_str(&m);

            require(strlen(s) < MSG_STRING_MAX);
            strings += strlen(s);
            msg_put_str(&again, s);
        } else {
            uint64_t max = how & 2 ? UINT64_MAX : how, value = msg_get_u64(&m, max);

            require(value <= max);
            msg_put_u64(&again, value);
        }
        require(m.read <= m.body.len);
    }
    require(strings <= m.body.len);
    /* What decodes without an error is exactly what encoding writes. */
    if (msg_done(&m) == 0)
        require(buf_error(&again.body) == 0 && again.body.len == m.body.len &&
                (m.body.len == 0 || memcmp(again.body.data, m.body.data, m.body.len) == 0));
    require(msg_take_fd(&m) == -1 && msg_done(&m) < 0);
    return 0;
}
