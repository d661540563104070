-- KEYS: the lease. ARGV: who has had it; somebody else's stays.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return redis.status_reply('OK')
