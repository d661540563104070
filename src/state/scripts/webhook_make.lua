-- One delivery for the end of a task. KEYS: the job, the delivery, the due ones (zset), all (zset). ARGV: the job's status and task as they
-- were when the delivery was written, delivery's id, for how long it is kept (s), channel, then field, value, …
local status, task, told, deliveries = unpack(redis.call('HMGET', KEYS[1], 'status', 'task_id', 'called_back', 'webhooks'))
if not status then
    return redis.status_reply('ENOENT')
end
if status ~= ARGV[1] or task ~= ARGV[2] or told == 'task ' .. task then
    return redis.status_reply('EBUSY')
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[2], unpack(ARGV, 6)) -- first what a full Redis refuses
redis.call('HSET', KEYS[2], 'state', 'waiting', 'attempts', 0, 'next_at', now)
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('ZADD', KEYS[3], now, ARGV[3])
redis.call('ZADD', KEYS[4], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[4] * 1000)
redis.call('HSET', KEYS[1], 'called_back', 'task ' .. task, 'webhooks', (deliveries or '') .. ARGV[3] .. ' ')
redis.call('PUBLISH', ARGV[5], 'due')
return redis.status_reply('OK')
