-- KEYS: the session, its previews (set), this one. ARGV: time to live (ms), worker, task. Of several tasks (a record may end before its task
-- is served) the first one that comes makes the picture. One that another worker has begun is taken over if it is of the same task: the queue
-- has given that to this one.
local limit = redis.call('PEXPIRETIME', KEYS[1])
local status, task = unpack(redis.call('HMGET', KEYS[3], 'status', 'task_id'))
if limit < 0 or not status then
    return redis.status_reply('ENOENT')
end
if status ~= 'wanted' and status ~= 'queued' and (status ~= 'processing' or task ~= ARGV[3]) then
    return redis.status_reply('ECANCELED')
end
local now = redis.call('TIME')
local expiry = string.format('%.0f', math.min(now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1], limit))
redis.call('HSET', KEYS[3], 'status', 'processing', 'worker', ARGV[2], 'task_id', ARGV[3])
redis.call('PEXPIREAT', KEYS[3], expiry)
redis.call('PEXPIREAT', KEYS[2], expiry)
return redis.status_reply('OK')
