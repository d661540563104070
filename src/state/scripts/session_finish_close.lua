-- KEYS: the session, its jobs (zset), its tokens (zset), its name while it is closed, its events (hash), its jobs that wait and
-- its previews that wait (sets), its previews (set); the bytes stored by session (hash), their sum, the sessions by expiry (zset). ARGV: prefixes of job keys and of token keys, session id.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('DEL', ARGV[1] .. id)
end
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('DEL', ARGV[2] .. token)
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[8])) do
    redis.call('DEL', key)
end
redis.call('DEL', unpack(KEYS, 1, 8))

local bytes = redis.call('HGET', KEYS[9], ARGV[3])
if bytes then
    redis.call('HDEL', KEYS[9], ARGV[3])
    redis.call('ZREM', KEYS[11], ARGV[3])
    redis.call('DECRBY', KEYS[10], bytes)
    if redis.call('EXISTS', KEYS[9]) == 0 then
        redis.call('DEL', KEYS[10])
    end
end
return redis.status_reply('OK')
