-- claim: QUEUES WORKER OWNER TAG LEASE_MS MAX_BYTES REVOKED_TTL_S. Answers nil when nothing waits, {message, deliveries, id, queue,
-- revoked}, or AGAIN after a run of messages that were none. As kombu does it: what has a higher priority comes
-- first, whichever of the queues it is in; else the queues in their order.
local queues, worker, owner, tag = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, max_bytes, revoked_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]) * 1000

local function pop()
    for _, step in ipairs(STEPS) do
        for queue in string.gmatch(queues, '%S+') do
            local message = redis.call('RPOP', PREFIX .. queue .. step)
            if message then
                return message, queue
            end
        end
    end
end

-- Only what the steps below rely on; the envelope is checked strictly by the caller.
local function inspect(message)
    if #message > max_bytes then
        return 'larger than a message may be'
    end
    local ok, m = pcall(cjson.decode, message)
    if not ok or type(m) ~= 'table' then
        return 'not a JSON object'
    end
    local id = type(m.headers) == 'table' and m.headers.id
    if type(id) ~= 'string' or #id < 1 or #id > 200 or string.find(id, '[%c%s]') then
        return 'no task id'
    end
    return nil, id
end

local function take(message, id, queue)
    local ms, seconds = now()
    local fresh = redis.call('EXISTS', CLAIMS .. worker) == 0

    redis.call('HSET', UNACKED, tag, wrap(message, queue))
    redis.call('ZADD', INDEX, seconds, tag)
    redis.call('HSET', CLAIMS .. worker, tag, id, 'owner', owner)
    redis.call('ZADD', WORKERS, ms + lease_ms, worker)
    if fresh then
        redis.call('EXPIRE', CLAIMS .. worker, WEEK)
        redis.call('EXPIRE', WORKERS, WEEK)
    end
    local deliveries = redis.call('INCR', DELIVERIES .. id)
    redis.call('EXPIRE', DELIVERIES .. id, WEEK)
    local revoked = tonumber(redis.call('ZSCORE', REVOKED, id) or '')
    return {message, deliveries, id, queue, revoked and revoked > ms - revoked_ms and 1 or 0}
end

if is_other(worker, owner) then
    return 'EEXIST'
end
for _ = 1, 100 do
    local message, queue = pop()
    if not message then
        return false
    end
    local reason, id = inspect(message)
    if not reason then
        return take(message, id, queue)
    end
    dead_letter(reason, message, queue)
end
return 'AGAIN'
