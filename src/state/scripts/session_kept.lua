-- KEYS: the session's jobs (zset), its partial uploads (zset, by expiry), the bytes stored by session (hash), their sum. ARGV: prefix of the
-- keys of partial uploads, session id. The ids of jobs and partial uploads: of whatever may have a folder. Partial uploads that have expired
-- are forgotten, and what was kept free for them is free again.
local t = redis.call('TIME')
local freed = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', t[1] * 1000 + math.floor(t[2] / 1000))) do
    freed = freed + (redis.call('HGET', ARGV[1] .. id, 'length') or 0)
    redis.call('DEL', ARGV[1] .. id)
    redis.call('ZREM', KEYS[2], id)
end
if freed > 0 and redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[3], ARGV[2], string.format('%.0f', -freed))
    redis.call('DECRBY', KEYS[4], string.format('%.0f', freed))
end
local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    ids[#ids + 1] = id
end
return ids
