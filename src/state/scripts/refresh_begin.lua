-- KEYS: the account, its refresh families (zset by end), the new family, its token. ARGV: the account's id, the family's, the
-- address, now (text, ms), the end (ms), most families of an account, prefix of family keys, SHA-256 of the first token,
-- the hash of the password that was proved ("": none was), and the one to keep in its place.
local disabled, password = unpack(redis.call('HMGET', KEYS[1], 'disabled', 'password'))
if not disabled then
    return redis.status_reply('ENOENT')
end
if disabled ~= '' then
    return redis.status_reply('EACCES')
end
if ARGV[10] ~= '' then
    if password ~= ARGV[10] then
        return redis.status_reply('ESTALE')
    end
    redis.call('HSET', KEYS[1], 'password', ARGV[11])
end
redis.call('HSET', KEYS[3], 'account', ARGV[1], 'created_at', ARGV[4], 'address', ARGV[3], 'token', KEYS[4])
redis.call('PEXPIREAT', KEYS[3], ARGV[6])
redis.call('HSET', KEYS[4], 'family', ARGV[2], 'account', ARGV[1], 'token', ARGV[9])
redis.call('PEXPIREAT', KEYS[4], ARGV[6])

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
-- Those that were logged out make room before any that is in use.
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) then
    for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
        if redis.call('EXISTS', ARGV[8] .. old) == 0 then
            redis.call('ZREM', KEYS[2], old)
        end
    end
end
while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) do
    local old = ARGV[8] .. redis.call('ZPOPMIN', KEYS[2])[1]
    redis.call('DEL', old, redis.call('HGET', old, 'token') or old)
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[2])
redis.call('PEXPIREAT', KEYS[2], redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
return redis.status_reply('OK')
