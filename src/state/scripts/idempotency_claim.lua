-- KEYS: the session, its answers (hash: name of a request → record), the same names by when they were begun (zset). ARGV: name,
-- fingerprint, owner, how long the owner may take (ms), how long an answer is kept (ms), the most of them.
-- Answers {OK, begun}, {OK, answered, status, text}, {EBUSY}: its owner still has time, {EEXIST}: it was another request.
local name, fingerprint, owner = ARGV[1], ARGV[2], ARGV[3]
local lease, kept, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return {'ENOENT'}
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local record = redis.call('HGET', KEYS[2], name)
if record and tonumber(redis.call('ZSCORE', KEYS[3], name) or 0) > now - kept then
    local r = cjson.decode(record)
    if r.fingerprint ~= fingerprint then
        return {'EEXIST'}
    end
    if r.answer then
        return {'OK', 'answered', r.status, r.answer}
    end
    if tonumber(r.until_ms) > now then
        return {'EBUSY'}
    end
end

-- First what a full Redis refuses: after any other change it would let the rest pass.
redis.call('HSET', KEYS[2], name, cjson.encode({fingerprint = fingerprint, owner = owner, until_ms = string.format('%.0f', now + lease)}))
redis.call('ZADD', KEYS[3], now, name)
local function forget(names)
    for _, old in ipairs(names) do
        redis.call('HDEL', KEYS[2], old)
        redis.call('ZREM', KEYS[3], old)
    end
end
forget(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - kept), 'LIMIT', 0, 1000))
local over = redis.call('ZCARD', KEYS[3]) - most
if over > 0 then
    forget(redis.call('ZRANGE', KEYS[3], 0, over - 1))
end
redis.call('PEXPIREAT', KEYS[2], expiry)
redis.call('PEXPIREAT', KEYS[3], expiry)
return {'OK', 'begun'}
