-- reap: LEASE_MS VISIBILITY_S. Takes the claims of workers whose lease has ended back into the queue.
--
-- When Redis itself was away, every lease has ended without anybody being dead. So leases count only while
-- somebody has been watching them for a whole lease's time: `decant:watch` holds since when, and ends when no
-- reap renews it.
local lease_ms, visibility_s = tonumber(ARGV[1]), tonumber(ARGV[2])
local ms, seconds = now()
local since = tonumber(redis.call('GET', WATCH) or ms)
local n = 0

redis.call('SET', WATCH, string.format('%d', since), 'PX', math.ceil(lease_ms / 2))
if ms - since < lease_ms then
    return 0
end
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', ms, 'LIMIT', 0, 100)) do
    for _, tag in ipairs(redis.call('HKEYS', CLAIMS .. worker)) do
        if tag ~= 'owner' then
            n = n + restore(tag)
        end
    end
    redis.call('DEL', CLAIMS .. worker)
    redis.call('ZREM', WORKERS, worker)
end

-- Claims of ours that no worker's hash remembers (all were off for longer than the hashes live). What stock
-- consumers left there is for stock consumers to sweep.
local old = tonumber(seconds) - visibility_s
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', INDEX, '-inf', old, 'LIMIT', 0, 1000)) do
    if string.sub(tag, 1, 7) == 'decant:' then
        n = n + restore(tag)
    end
end
return n
