-- KEYS: the account, its API keys (set), the new one. ARGV: most keys of an account, its id, then field, value, …
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.status_reply('ENOENT')
end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[1]) then
    return redis.status_reply('EDQUOT')
end
if redis.call('EXISTS', KEYS[3]) == 1 then
    return redis.status_reply('EEXIST')
end
redis.call('HSET', KEYS[3], unpack(ARGV, 3))
redis.call('SADD', KEYS[2], ARGV[2])
return redis.status_reply('OK')
