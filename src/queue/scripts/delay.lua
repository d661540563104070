-- delay: WORKER TAG ID DUE_MS MAX. A claimed message whose time has not come waits in a sorted set, as "LIST
-- MESSAGE"; the delivery does not count. EAGAIN when too many wait already.
local worker, tag, id, due_ms, max = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local held = claimed(worker, tag)

if not held then
    return 'ESTALE'
end
if redis.call('ZCARD', DELAYED) >= max then
    return 'EAGAIN'
end
local message, queue = unwrap(held)
forget(worker, tag)
uncount(id)
redis.call('ZADD', DELAYED, due_ms, list_of(queue, message) .. ' ' .. message)
return 'OK'
