-- One worker's report. KEYS: its hash, the index of reports (zset: worker id → when it expires).
-- ARGV: worker id, now in ms, lifetime in s, then field, value, …
-- The index lets a reader find the reports without scanning the keyspace.
local ttl = tonumber(ARGV[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], tonumber(ARGV[2]) + ttl * 1000, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2])
redis.call('EXPIRE', KEYS[2], ttl)
return redis.status_reply('OK')
