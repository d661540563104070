-- KEYS: the session, its results (hash: fingerprint of a conversion → job), the same by when they were begun (zset). ARGV: fingerprint,
-- job, how old one may be (ms), the most of them.
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return redis.status_reply('ENOENT')
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- First what a full Redis refuses: after any other change it would let the rest pass.
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], now, ARGV[1])
local function forget(fingerprints)
    for _, old in ipairs(fingerprints) do
        redis.call('HDEL', KEYS[2], old)
        redis.call('ZREM', KEYS[3], old)
    end
end
forget(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', now - ARGV[3]), 'LIMIT', 0, 1000))
local over = redis.call('ZCARD', KEYS[3]) - ARGV[4]
if over > 0 then
    forget(redis.call('ZRANGE', KEYS[3], 0, over - 1))
end
redis.call('PEXPIREAT', KEYS[2], expiry)
redis.call('PEXPIREAT', KEYS[3], expiry)
return redis.status_reply('OK')
