-- KEYS: the account, its refresh families (zset). ARGV: prefix of family keys to end all of them, or "", then field, value, …
-- Returns the account's space.
local space = redis.call('HGET', KEYS[1], 'space')
if not space then
    return {'ENOENT'}
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then
    for _, family in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
        redis.call('DEL', ARGV[1] .. family)
    end
    redis.call('DEL', KEYS[2])
end
return {'OK', space}
