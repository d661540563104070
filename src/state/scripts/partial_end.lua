-- KEYS: the partial upload, the session's partial uploads (zset), the bytes stored by session (hash), their sum, the session's refused
-- uploads (hash), the session. ARGV: id, session id, why it was refused (empty: it is given up).
-- What was kept free for it is free again.
local length = redis.call('HGET', KEYS[1], 'length')
if not length then
    return redis.status_reply('ENOENT')
end
local expiry = redis.call('PEXPIRETIME', KEYS[6])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[3], ARGV[2], -length)
    redis.call('DECRBY', KEYS[4], length)
end
if ARGV[3] ~= '' and expiry > 0 then
    if redis.call('HLEN', KEYS[5]) >= 1000 then -- nobody asks for so many: it must not grow for ever
        redis.call('DEL', KEYS[5])
    end
    redis.call('HSET', KEYS[5], ARGV[1], ARGV[3])
    redis.call('PEXPIREAT', KEYS[5], expiry)
end
return redis.status_reply('OK')
