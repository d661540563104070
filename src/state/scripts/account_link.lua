-- KEYS: the account, the accounts by subject (hash). ARGV: its id, its subject from here on ("" for none).
local before = redis.call('HGET', KEYS[1], 'oidc')
if not before then
    return redis.status_reply('ENOENT')
end
if ARGV[2] ~= '' and (redis.call('HGET', KEYS[2], ARGV[2]) or ARGV[1]) ~= ARGV[1] then
    return redis.status_reply('EEXIST')
end
redis.call('HSET', KEYS[1], 'oidc', ARGV[2])
if before ~= '' then
    redis.call('HDEL', KEYS[2], before)
end
if ARGV[2] ~= '' then
    redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
end
return redis.status_reply('OK')
