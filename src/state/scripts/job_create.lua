-- KEYS: the session, its jobs (zset), the new job. ARGV: most jobs, now (ms), job id, the session's channel, the job's, status,
-- then field, value, …
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
redis.call('HSET', KEYS[3], unpack(ARGV, 7))
redis.call('PEXPIREAT', KEYS[3], expiry)
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIREAT', KEYS[2], expiry)
redis.call('PUBLISH', ARGV[4], 'jobs')
redis.call('PUBLISH', ARGV[5], ARGV[6])
return redis.status_reply('OK')
