-- KEYS: the session, its previews (set), this one. ARGV: time to live (ms), worker. One that another worker has begun is taken over: the
-- queue has given the task to this one.
local limit = redis.call('PEXPIRETIME', KEYS[1])
local status = redis.call('HGET', KEYS[3], 'status')
if limit < 0 or not status then
    return redis.status_reply('ENOENT')
end
if status ~= 'wanted' and status ~= 'queued' and status ~= 'processing' then
    return redis.status_reply('ECANCELED')
end
local now = redis.call('TIME')
local expiry = string.format('%.0f', math.min(now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1], limit))
redis.call('HSET', KEYS[3], 'status', 'processing', 'worker', ARGV[2])
redis.call('PEXPIREAT', KEYS[3], expiry)
redis.call('PEXPIREAT', KEYS[2], expiry)
return redis.status_reply('OK')
