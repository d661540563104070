#include "core/str.h"
#include "state/redis.h"

const char *redis_reply_str(const redisReply *reply)
{
    if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
        return NULL;
    return reply->str;
}

long long redis_reply_int(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
}

const redisReply *redis_reply_at(const redisReply *reply, size_t index)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY || index >= reply->elements)
        return NULL;
    return reply->element[index];
}

const char *redis_reply_field(const redisReply *reply, const char *field)
{
    const redisReply *value;

    for (size_t i = 0; (value = redis_reply_at(reply, i + 1)); i += 2)
        if (str_eq(redis_reply_str(reply->element[i]), field))
            return redis_reply_str(value);
    return NULL;
}
