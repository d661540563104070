-- enqueue: QUEUE QUEUES MAX_LENGTH STEP MESSAGE CROWD CROWD_MAX SENT [hash]. Either all of it happens or nothing. MAX_LENGTH is for
-- all QUEUES. CROWD is empty when there is no such limit, SENT (an event) when nobody is to be told. Answers {OK, how many messages
-- of QUEUE are served before, how many of any are claimed} or a code.
local queue, queues, max, step, message = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local crowd, crowd_max, sent, key = ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]
local code = hash_check(9)

-- Whoever has reached its end does not say so: who comes looks.
local function crowded()
    if redis.call('SCARD', crowd) < crowd_max then
        return false
    end
    local open = {queued = true, scanning = true, processing = true}
    local n = 0
    for _, member in ipairs(redis.call('SMEMBERS', crowd)) do
        if open[redis.call('HGET', member, 'status') or ''] then
            n = n + 1
        else
            redis.call('SREM', crowd, member)
        end
    end
    return n >= crowd_max
end

if code ~= 'OK' then
    return code
end
if in_queues(queues) >= max then
    return 'EAGAIN'
end
if crowd ~= '' and crowded() then
    return 'EDQUOT'
end
redis.call('LPUSH', PREFIX .. queue .. STEPS[step + 1], message)
hash_set(9)
if crowd ~= '' then
    redis.call('SADD', crowd, key)
    local expiry = redis.call('PEXPIRETIME', key)
    if expiry > 0 then
        redis.call('PEXPIREAT', crowd, expiry)
    end
end
if sent ~= '' then
    redis.call('PUBLISH', PREFIX .. '/0.celeryev/task.sent', sent)
end
local ahead = -1
for i = 1, step + 1 do
    ahead = ahead + redis.call('LLEN', PREFIX .. queue .. STEPS[i])
end
return {'OK', ahead, redis.call('HLEN', UNACKED)}
