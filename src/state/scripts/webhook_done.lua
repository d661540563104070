-- What became of an attempt. KEYS: the delivery, the due ones (zset), what is counted (hash). ARGV: its id, who took it, the new state, ms
-- until the next attempt, HTTP status (empty: none came), why it failed, the counter.
local owner = redis.call('HGET', KEYS[1], 'owner')
if not owner then
    return redis.status_reply('ENOENT') -- its job was removed meanwhile
end
if owner ~= ARGV[2] then
    return redis.status_reply('EBUSY') -- it took too long, and somebody else has it
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local next_at = ARGV[3] == 'waiting' and now + ARGV[4] or ''
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'last_at', now, 'last_status', ARGV[5], 'last_error', ARGV[6], 'next_at', next_at, 'owner', '')
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
if next_at == '' then
    redis.call('ZREM', KEYS[2], ARGV[1])
else
    redis.call('ZADD', KEYS[2], next_at, ARGV[1])
end
redis.call('HINCRBY', KEYS[3], ARGV[7], 1)
return redis.status_reply('OK')
