#include "state/script.h"

#include "core/str.h"

#include <errno.h>

static const struct {
    const char *code;
    int err;
} codes[] = {
    {"OK", 0},
    {"ENOENT", -ENOENT},
    {"EDQUOT", -EDQUOT},
    {"ECANCELED", -ECANCELED},
    {"EBUSY", -EBUSY},
    {"EEXIST", -EEXIST},
    {"EFBIG", -EFBIG},
    {"ENOBUFS", -ENOBUFS},
    {"EINPROGRESS", -EINPROGRESS},
    {"ETXTBSY", -ETXTBSY},
    {"EACCES", -EACCES},
    {"EALREADY", -EALREADY},
    {"ESTALE", -ESTALE},
};

int script_code(const redisReply *reply)
{
    const redisReply *first = redis_reply_at(reply, 0);
    const char *code = redis_reply_str(first ? first : reply);

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_eq(code, codes[i].code))
            return codes[i].err;
    return -EPROTO;
}
