-- refresh: WORKER OWNER LEASE_MS N TAG… : the first N tags are claims that the worker surely holds, the others
-- are on their way (a claim or a completion that is not answered yet). Answers the tags among the N that are
-- lost.
--
-- A claim that the worker does not know of, because the answer never reached it, goes back to the queue: it
-- would be refreshed for ever and never run.
local worker, owner, lease_ms, sure = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local claims = CLAIMS .. worker
local known, alive, lost = {}, {}, {}

if is_other(worker, owner) then
    return 'EEXIST'
end
local ms, seconds = now()
for i = 5, #ARGV do
    known[ARGV[i]] = true
end
for _, tag in ipairs(redis.call('HKEYS', claims)) do
    if tag ~= 'owner' then
        if not known[tag] then
            restore(tag)
            redis.call('HDEL', claims, tag)
        elseif redis.call('HEXISTS', UNACKED, tag) == 1 then
            redis.call('ZADD', INDEX, seconds, tag)
            alive[tag] = true
        else
            redis.call('HDEL', claims, tag)
        end
    end
end
for i = 5, 4 + sure do
    if not alive[ARGV[i]] then
        lost[#lost + 1] = ARGV[i]
    end
end
redis.call('HSET', claims, 'owner', owner)
redis.call('EXPIRE', claims, WEEK)
redis.call('ZADD', WORKERS, ms + lease_ms, worker)
redis.call('EXPIRE', WORKERS, WEEK)
return lost
