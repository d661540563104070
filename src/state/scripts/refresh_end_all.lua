-- KEYS: the account, its refresh families (zset). ARGV: prefix of family keys.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.status_reply('ENOENT')
end
for _, family in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('DEL', ARGV[1] .. family)
end
redis.call('DEL', KEYS[2])
return redis.status_reply('OK')
