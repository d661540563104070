-- enqueue: QUEUE QUEUES MAX_LENGTH STEP MESSAGE CROWD CROWD_MAX NEEDED SENT [hash]. Either all of it happens or nothing. MAX_LENGTH is for
-- all QUEUES. CROWD is empty when there is no such limit, SENT (an event) when nobody is to be told. Without the key NEEDED (empty: none)
-- nothing happens. Answers {OK, how many messages of QUEUE are served before, how many of any are claimed} or a code.
local queue, queues, max, step, message = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local crowd, crowd_max, needed, sent, key = ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]
local code = hash_check(10)

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

-- Round robin over the owners, in the plain list that stock consumers take from. Each message has a round, and a
-- place in it. The first one of an owner joins the round that is the next to be served, or, when a part of that
-- was served already, the one after it: so nobody is overtaken for ever. An owner's further ones are each in the
-- round after the last. A message goes to the end of its round: usually that is the list's end; else the place
-- is found by the round's last message, which `decant:rounds:{list}` remembers (message → round).
-- `decant:turns:{list}` has each owner's last round, and under the empty name the one that was served last as
-- far as is known. What was served is forgotten in passing, since the next message says where the list is.
--
-- Whoever takes from the list need not know of this. Messages without a round (of stock clients) keep their
-- place, and nothing is ever put before the one that is the next.
--
-- Answers the round being served, the round that newcomers join, and the message that is the next.
local function rounds_now(list, turns)
    local next_one = redis.call('LINDEX', list, -1)
    local known = tonumber(redis.call('ZSCORE', turns, '') or 1)
    if not next_one then
        local last = redis.call('ZREVRANGE', turns, 0, 0, 'WITHSCORES')
        known = tonumber(last[2] or 0) + 1
        return known, known
    end
    local round, place = round_of(next_one)
    if round < known then
        return known, known, next_one
    end
    return round, place > 0 and round + 1 or round, next_one
end

-- Behind the `n` messages that are the next to be served.
local function insert(list, n, message)
    local ahead = redis.call('RPOP', list, n)
    local back = {message}
    for i = #ahead, 1, -1 do
        back[#back + 1] = ahead[i]
    end
    redis.call('RPUSH', list, unpack(back))
end

-- To the end of its round. LINSERT looks for that from the list's other end, through all that came later (7 ms for
-- 10,000 messages), so it is for what is far from being served. Answers how many are served before.
local NEAR = 1000

local function put(list, rounds, round, next_one, message)
    local later = redis.call('ZRANGEBYSCORE', rounds, string.format('(%d', round), '+inf', 'LIMIT', 0, 1)
    if not next_one or #later == 0 then
        return redis.call('LPUSH', list, message) - 1
    end
    local last = redis.call('ZREVRANGEBYSCORE', rounds, round, '-inf', 'LIMIT', 0, 1)[1]
    local at = last and redis.call('LPOS', list, last, 'RANK', -1, 'MAXLEN', NEAR)
    local ahead = at and redis.call('LLEN', list) - at
    if not at then
        local length = last and redis.call('LINSERT', list, 'BEFORE', last, message) or 0
        if length > 0 then
            return length - 1 - redis.call('LPOS', list, message, 'RANK', -1)
        end
        ahead = 1 -- the last one was served
    end
    insert(list, ahead, message)
    return ahead
end

local function push_fairly(name, owner, message)
    local list = PREFIX .. name
    local turns, rounds = PREFIX .. 'decant:turns:' .. name, PREFIX .. 'decant:rounds:' .. name
    local served, joined, next_one = rounds_now(list, turns)

    -- First what a full Redis refuses: after any other change it would let the rest pass.
    redis.call('ZADD', turns, served, '')
    redis.call('ZREMRANGEBYSCORE', turns, '-inf', string.format('(%d', served))
    redis.call('ZREMRANGEBYSCORE', rounds, '-inf', string.format('(%d', served))
    local round = math.max(joined, (redis.call('ZSCORE', turns, owner) or 0) + 1)
    local last = redis.call('ZRANGEBYSCORE', rounds, round, round)[1]
    local place = 0
    if last then
        local _, place_of_last = round_of(last)
        place = place_of_last + 1
    end
    message = stamp(message, round, place)
    local ahead = put(list, rounds, round, next_one, message)
    redis.call('ZREMRANGEBYSCORE', rounds, round, round)
    redis.call('ZADD', rounds, round, message)
    redis.call('ZADD', turns, round, owner)
    redis.call('EXPIRE', rounds, WEEK)
    redis.call('EXPIRE', turns, WEEK)
    return ahead, round
end

if needed ~= '' and redis.call('EXISTS', needed) == 0 then
    return 'ENOENT'
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
local ahead, round
if crowd == '' then
    ahead = redis.call('LPUSH', PREFIX .. queue .. STEPS[step + 1], stamp(message)) - 1
else
    ahead, round = push_fairly(queue .. STEPS[step + 1], crowd, message)
end
hash_set(10)
if crowd ~= '' then
    redis.call('HSET', key, 'queue_round', round) -- where cancel.lua looks first
    redis.call('SADD', crowd, key)
    local expiry = redis.call('PEXPIRETIME', key)
    if expiry > 0 then
        redis.call('PEXPIREAT', crowd, expiry)
    end
end
if sent ~= '' then
    redis.call('PUBLISH', PREFIX .. '/0.celeryev/task.sent', sent)
end
for i = 1, step do
    ahead = ahead + redis.call('LLEN', PREFIX .. queue .. STEPS[i])
end
return {'OK', ahead, redis.call('HLEN', UNACKED)}
