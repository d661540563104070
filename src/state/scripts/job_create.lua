-- KEYS: the session, its jobs (zset), the new job, the bytes stored by session (hash), their sum, the sessions by expiry (zset), the jobs
-- that are kept for a time of their own (zset by its end), the session's partial uploads (zset, by expiry), the partial upload of that id.
-- ARGV: most jobs, now (ms; of a partial upload: when it is to expire), job id, the session's channel, the job's, status, session id, bytes, most bytes of the session, of all
-- (0: no such limit), the end (ms) of the job's own time (empty: it is the session's), what is wanted, then field, value, …
-- Wanted is 'look', only whether there is room; 'job'; 'partial', room for an upload that will come in pieces, answered with when it does
-- expire; or 'arrived', the job of such an upload, which has had its room since it was announced.
local id, bytes, session_max, all_max, wanted = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[12]
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return redis.status_reply('ENOENT')
end
if redis.call('EXISTS', KEYS[3]) == 1 then
    return redis.status_reply('EEXIST')
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if wanted == 'arrived' then
    if redis.call('EXISTS', KEYS[9]) == 0 then
        return redis.status_reply('ECANCELED')
    end
    bytes, session_max, all_max = 0, 0, 0
elseif redis.call('ZCARD', KEYS[2]) + redis.call('ZCOUNT', KEYS[8], now, '+inf') >= tonumber(ARGV[1]) then
    return redis.status_reply('EDQUOT')
end

-- Sessions that have expired count no more.
local ended = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, 1000)
local freed = 0
for _, session in ipairs(ended) do
    freed = freed + (redis.call('HGET', KEYS[4], session) or 0)
end
if session_max > 0 and (redis.call('HGET', KEYS[4], id) or 0) + bytes > session_max then
    return redis.status_reply('EFBIG')
end
if all_max > 0 and (redis.call('GET', KEYS[5]) or 0) - freed + bytes > all_max then
    return redis.status_reply('ENOBUFS')
end

if wanted == 'look' then
    return redis.status_reply('OK')
end
local ends
if wanted == 'partial' then
    ends = string.format('%.0f', math.min(tonumber(ARGV[2]), expiry))
    redis.call('HSET', KEYS[9], 'expires_ms', ends, unpack(ARGV, 13))
    -- An account's space moves on: whoever frees this room has to know of it for longer, as of jobs below.
    local known = ARGV[11] ~= '' and string.format('%.0f', expiry + 30 * 86400 * 1000) or expiry
    redis.call('PEXPIREAT', KEYS[9], known)
    redis.call('ZADD', KEYS[8], ends, ARGV[3])
    redis.call('PEXPIREAT', KEYS[8], known)
else
    -- First: a script that has begun to write is let through when Redis is out of memory.
    redis.call('HSET', KEYS[3], 'stored_bytes', ARGV[8], unpack(ARGV, 13))
    redis.call('DEL', KEYS[9])
    redis.call('ZREM', KEYS[8], ARGV[3])
    redis.call('PEXPIREAT', KEYS[3], expiry)
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
    redis.call('PEXPIREAT', KEYS[2], expiry)
end
for _, session in ipairs(ended) do
    redis.call('HDEL', KEYS[4], session)
    redis.call('ZREM', KEYS[6], session)
end
redis.call('HINCRBY', KEYS[4], id, string.format('%.0f', bytes))
redis.call('INCRBY', KEYS[5], string.format('%.0f', bytes - freed))
redis.call('ZADD', KEYS[6], expiry, id)
for i = 4, 6 do -- with the last session that they know of
    if redis.call('PEXPIRETIME', KEYS[i]) < expiry then
        redis.call('PEXPIREAT', KEYS[i], expiry)
    end
end
if ends then
    return {'OK', ends}
end
if ARGV[11] ~= '' then
    redis.call('ZADD', KEYS[7], ARGV[11], id .. '/' .. ARGV[3])
    -- Whoever ends it needs it, also when that is late: nobody would free its place and its bytes in a session that moves on.
    redis.call('PEXPIREAT', KEYS[3], string.format('%.0f', math.max(expiry, ARGV[11] + 30 * 86400 * 1000)))
end
redis.call('PUBLISH', ARGV[4], 'jobs')
redis.call('PUBLISH', ARGV[5], ARGV[6])
return redis.status_reply('OK')
