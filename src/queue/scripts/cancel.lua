-- cancel: QUEUES ID META STOP EVENT CROWD [hash]. A task ends as META (REVOKED) says, and its job as the hash's pairs do: at once when
-- nobody has begun it; its message leaves the queue. EVENT (empty: none) is then published, as no worker tells it. Else EINPROGRESS:
-- the job says that its task is to be stopped, STOP (a channel) tells the workers, and whoever holds the claim, now or later, ends it.
local queues, id, meta, stop, event, crowd, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local STEP = 100

local function is_task(message)
    if not string.find(message, id, 1, true) then
        return false
    end
    local ok, m = pcall(cjson.decode, message)
    return ok and type(m) == 'table' and type(m.headers) == 'table' and m.headers.id == id
end

-- Of its round another one is the last now (enqueue.lua): the one that is served before it, if that is of the same round.
local function leave_round(name, message, before)
    local rounds, round = PREFIX .. 'decant:rounds:' .. name, (round_of(message))
    if redis.call('ZREM', rounds, message) == 1 and before and (round_of(before)) == round then
        redis.call('ZADD', rounds, round, before)
    end
end

local function leave_list(name, from)
    local list = PREFIX .. name
    for first = from, redis.call('LLEN', list) - 1, STEP do
        local messages = redis.call('LRANGE', list, first, first + STEP)
        for i = 1, math.min(#messages, STEP) do
            if is_task(messages[i]) then
                redis.call('LREM', list, 1, messages[i])
                leave_round(name, messages[i], messages[i + 1])
                return true
            end
        end
    end
    return false
end

local function leave_delayed()
    for first = 0, redis.call('ZCARD', DELAYED) - 1, STEP do
        for _, member in ipairs(redis.call('ZRANGE', DELAYED, first, first + STEP - 1)) do
            if is_task(string.match(member, '^%S+ (.*)$') or '') then
                redis.call('ZREM', DELAYED, member)
                return true
            end
        end
    end
    return false
end

-- Who has none that waits is a newcomer again, and does not stand behind the rounds of what was called off.
local function forget_turn()
    for _, member in ipairs(redis.call('SMEMBERS', crowd)) do
        if redis.call('HGET', member, 'status') == 'queued' then
            return
        end
    end
    for queue in string.gmatch(queues, '%S+') do
        for _, step in ipairs(STEPS) do
            redis.call('ZREM', PREFIX .. 'decant:turns:' .. queue .. step, crowd)
        end
    end
end

-- The last one of the task's round; Redis finds it faster than we look through all that came later.
local function place_of_round(name, round)
    local last = redis.call('ZRANGEBYSCORE', PREFIX .. 'decant:rounds:' .. name, round, round)[1]
    return last and redis.call('LPOS', PREFIX .. name, last, 'RANK', -1)
end

local function leave_lists(place)
    for queue in string.gmatch(queues, '%S+') do
        for _, step in ipairs(STEPS) do
            local from = place(queue .. step)
            if from and leave_list(queue .. step, from) then
                return true
            end
        end
    end
    return false
end

-- From where enqueue.lua has put it on; then, as it may have been moved or come back, everywhere.
local function leave_queue(round)
    return round and leave_lists(function(name) return place_of_round(name, round) end) or leave_delayed() or
               leave_lists(function() return 0 end)
end

-- So it waits nowhere.
local function is_held(worker)
    for _, task in ipairs(worker ~= '' and redis.call('HVALS', CLAIMS .. worker) or {}) do
        if task == id then
            return true
        end
    end
    return false
end

local code = task_check(7, id)
if code ~= 'OK' and code ~= 'ECANCELED' then
    return code
end
local status, worker, round = unpack(redis.call('HMGET', key, 'status', 'worker', 'queue_round'))
worker = worker or ''
local waited = not is_held(worker) and leave_queue(round)
if not waited and (status ~= 'queued' or worker ~= '') then
    redis.call('HSET', key, 'cancelling', id, 'sealed_secrets', '')
    redis.call('PUBLISH', stop, id)
    return 'EINPROGRESS'
end
hash_set(7)
local result = 'celery-task-meta-' .. id
if not succeeded(result) then
    redis.call('SET', result, meta, 'EX', RESULT_TTL)
    redis.call('PUBLISH', result, meta)
end
if waited then -- else a worker has just claimed it, finds it cancelled, and tells it
    redis.call('DEL', DELIVERIES .. id)
    if crowd ~= '' then
        forget_turn()
    end
    if event ~= '' then
        redis.call('PUBLISH', PREFIX .. '/0.celeryev/task.revoked', event)
    end
end
return 'OK'
