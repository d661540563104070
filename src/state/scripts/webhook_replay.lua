-- As if it had never been tried. KEYS: the delivery, the due ones (zset). ARGV: its id, for how long it is kept from now on (s), channel.
if redis.call('HEXISTS', KEYS[1], 'url') == 0 then
    return redis.status_reply('ENOENT')
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], 'state', 'waiting', 'attempts', 0, 'next_at', now, 'owner', '')
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PUBLISH', ARGV[3], 'due')
return redis.status_reply('OK')
