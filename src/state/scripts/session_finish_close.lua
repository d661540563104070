-- KEYS: the session, its jobs (zset), its tokens (zset), its name while it is closed, its
-- events (hash). ARGV: prefixes of job keys and of token keys.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('DEL', ARGV[1] .. id)
end
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('DEL', ARGV[2] .. token)
end
redis.call('DEL', unpack(KEYS))
return redis.status_reply('OK')
