-- KEYS: the new account, the accounts by name and by subject (hashes). ARGV: its id, its name (without capitals), its subject (""
-- for none), then field, value, …
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 or (ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[3], ARGV[3]) == 1) then
    return redis.status_reply('EEXIST')
end
redis.call('HSET', KEYS[1], 'lookup', ARGV[2], unpack(ARGV, 4))
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
if ARGV[3] ~= '' then
    redis.call('HSET', KEYS[3], ARGV[3], ARGV[1])
end
return redis.status_reply('OK')
