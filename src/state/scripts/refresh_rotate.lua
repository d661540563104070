-- KEYS: where a family's token is. ARGV: SHA-256 of the token that has come and of its successor, prefix of family keys. The key of
-- the family follows from the token's.
-- Returns the family's id, the account's, and for how long the family lasts (ms), also of one that has just been ended.
local family, account, token = unpack(redis.call('HMGET', KEYS[1], 'family', 'account', 'token'))
if not family then
    return {'ENOENT'}
end
local key = ARGV[3] .. family
local left = redis.call('PTTL', key)
if left <= 0 then
    return {'ENOENT'}
end
-- Either of two who have it has stolen it.
if token ~= ARGV[1] then
    redis.call('DEL', key, KEYS[1])
    return {'EALREADY', family, account, left}
end
redis.call('HSET', KEYS[1], 'token', ARGV[2])
return {'OK', family, account, left}
