-- KEYS: the lease. ARGV: who wants it, for how many ms. Whoever has it may prolong it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return redis.status_reply('EBUSY')
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.status_reply('OK')
