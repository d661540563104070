-- KEYS: the account, its API keys (set), its refresh families (zset), the accounts by name and by subject (hashes). ARGV: prefixes
-- of keys of API keys and of families, its id.
local name, subject = unpack(redis.call('HMGET', KEYS[1], 'lookup', 'oidc'))
if not name then
    return redis.status_reply('ENOENT')
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    redis.call('DEL', ARGV[1] .. key)
end
for _, family in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('DEL', ARGV[2] .. family)
end
redis.call('DEL', unpack(KEYS, 1, 3))
redis.call('HDEL', KEYS[4], name)
if redis.call('HGET', KEYS[5], subject) == ARGV[3] then
    redis.call('HDEL', KEYS[5], subject)
end
return redis.status_reply('OK')
