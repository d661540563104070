-- KEYS: the session, its jobs (zset), its tokens (zset), its name while it is closed, its events (hash), its jobs that wait and
-- its previews that wait (sets), its previews (set); the bytes stored by session (hash), their sum, the sessions by expiry (zset);
-- its answers (hash and zset), its results (hash and zset); the jobs that are kept for a time (zset); what is to be told of its jobs (zsets);
-- its partial uploads (zset) and its refused ones (hash); the deliveries of webhooks that are due, and all of them (zsets). ARGV: prefixes of
-- job keys and of token keys, session id, prefixes of the keys of partial uploads and of deliveries.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    for delivery in string.gmatch(redis.call('HGET', ARGV[1] .. id, 'webhooks') or '', '%S+') do
        redis.call('DEL', ARGV[5] .. delivery)
        redis.call('ZREM', KEYS[21], delivery)
        redis.call('ZREM', KEYS[22], delivery)
    end
    redis.call('DEL', ARGV[1] .. id)
    redis.call('ZREM', KEYS[16], ARGV[3] .. '/' .. id)
end
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('DEL', ARGV[2] .. token)
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[8])) do
    redis.call('DEL', key)
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[19], 0, -1)) do
    redis.call('DEL', ARGV[4] .. id)
end
redis.call('DEL', unpack(KEYS, 1, 8))
redis.call('DEL', unpack(KEYS, 12, 15))
redis.call('DEL', unpack(KEYS, 17, 20))

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
