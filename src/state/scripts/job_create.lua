-- KEYS: the session, its jobs (zset), the new job, the bytes stored by session (hash), their sum, the sessions by expiry (zset).
-- ARGV: most jobs, now (ms), job id, the session's channel, the job's, status, session id, bytes, most bytes of the session, of all
-- (0: no such limit), then field, value, …; without these it is only looked whether there is room.
local id, bytes, session_max, all_max = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return redis.status_reply('ENOENT')
end
if redis.call('EXISTS', KEYS[3]) == 1 then
    return redis.status_reply('EEXIST')
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
    return redis.status_reply('EDQUOT')
end

-- Sessions that have expired count no more.
local t = redis.call('TIME')
local ended = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', t[1] * 1000 + math.floor(t[2] / 1000), 'LIMIT', 0, 1000)
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

if not ARGV[11] then
    return redis.status_reply('OK')
end
redis.call('HSET', KEYS[3], unpack(ARGV, 11))
redis.call('PEXPIREAT', KEYS[3], expiry)
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIREAT', KEYS[2], expiry)
for _, session in ipairs(ended) do
    redis.call('HDEL', KEYS[4], session)
    redis.call('ZREM', KEYS[6], session)
end
redis.call('HINCRBY', KEYS[4], id, ARGV[8])
redis.call('INCRBY', KEYS[5], string.format('%.0f', bytes - freed))
redis.call('ZADD', KEYS[6], expiry, id)
for i = 4, 6 do -- with the last session that they know of
    if redis.call('PEXPIRETIME', KEYS[i]) < expiry then
        redis.call('PEXPIREAT', KEYS[i], expiry)
    end
end
redis.call('PUBLISH', ARGV[4], 'jobs')
redis.call('PUBLISH', ARGV[5], ARGV[6])
return redis.status_reply('OK')
