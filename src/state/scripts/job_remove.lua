-- KEYS: the job, the session's jobs (zset), its tokens (zset), its events (hash), its jobs and its previews that wait (sets), its
-- previews (set), the bytes stored by session (hash), their sum, the jobs that are kept for a time (zset), the session's jobs by the
-- numbers of their events, and removed ones by theirs (zsets); the deliveries of webhooks that are due, and all of them (zsets).
-- ARGV: session id, job id, "again" for a removal that was begun already, "held" for one that waits for no worker any longer, prefix of token
-- keys, the job's channel, the stop channel, the prefix of previews' channels, how long (ms) a removal is told to those who come back,
-- what stands before a result's id in the name of its preview's key, "expired" for a job whose deliveries stay, prefix of these.
-- Answers a code and, with EBUSY, the task that has to be called off first. With EINPROGRESS a worker still is in the job's folder.
--
-- The job goes first, as a whole: from then on nobody finds it, and its folder is nobody's. What makes pictures in there is told to stop.
local key, tokens, events, previews, stored = KEYS[1], KEYS[3], KEYS[4], KEYS[7], KEYS[8]
local session, id, again, held_too = ARGV[1], ARGV[2], ARGV[3] ~= '', ARGV[4] ~= ''
local open = {queued = true, scanning = true, processing = true}

-- Another job that becomes one of several files, and has yet to read this one's (those that wait or run are few: enqueue.lua).
local function is_needed()
    for _, other in ipairs(redis.call('SMEMBERS', KEYS[5])) do
        local status, inputs = unpack(redis.call('HMGET', other, 'status', 'inputs'))
        if other ~= key and open[status or ''] and string.find(inputs or '', session .. '/' .. id .. '/', 1, true) then
            return true
        end
    end
    return false
end

local function drop_tokens()
    for _, token in ipairs(redis.call('ZRANGE', tokens, 0, -1)) do
        local its, results = unpack(redis.call('HMGET', ARGV[5] .. token, 'job_id', 'results'))
        if its == id or string.find(results or '', id, 1, true) then
            redis.call('DEL', ARGV[5] .. token)
            redis.call('ZREM', tokens, token)
        end
    end
end

-- What it had added (stored.h); never more than is there.
local function free_bytes(bytes)
    bytes = math.min(bytes, tonumber(redis.call('HGET', stored, session) or 0))
    if bytes > 0 then
        redis.call('HINCRBY', stored, session, string.format('%.0f', -bytes))
        redis.call('DECRBY', KEYS[9], string.format('%.0f', bytes))
    end
end

-- An event without a state (job_events.lua), for all who follow the session; who was away for long has to ask anyway.
local function tell()
    if redis.call('EXISTS', events) == 0 then
        return
    end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local number = string.format('%.0f', math.max((redis.call('HGET', events, 'last') or 0) + 1, now))
    redis.call('HDEL', events, id)
    redis.call('HSET', events, 'last', number)
    redis.call('ZREM', KEYS[11], id)
    redis.call('ZREMRANGEBYSCORE', KEYS[12], '-inf', string.format('(%.0f', now - ARGV[9]))
    redis.call('ZADD', KEYS[12], number, id)
    redis.call('PEXPIREAT', KEYS[12], redis.call('PEXPIRETIME', events))
end

-- What was told of it, and what is still to be told.
local function drop_webhooks(deliveries)
    for delivery in string.gmatch(deliveries or '', '%S+') do
        redis.call('DEL', ARGV[12] .. delivery)
        redis.call('ZREM', KEYS[13], delivery)
        redis.call('ZREM', KEYS[14], delivery)
    end
end

-- Of its one result. Where that isn't known any more they are looked for among all, which is seldom.
local function its_previews(path)
    local result = path and string.match(path, '([^/.]+)%.[^/]*$')
    return result and {ARGV[10] .. result} or redis.call('SMEMBERS', previews)
end

-- How many of its pictures a worker still makes.
local function drop_previews(path)
    local finished = {completed = true, failed = true, cancelled = true}
    local held = 0
    for _, preview in ipairs(its_previews(path)) do
        local status, worker, job = unpack(redis.call('HMGET', preview, 'status', 'worker', 'job_id'))
        if job == id then
            if (worker or '') ~= '' and not held_too then
                held = held + 1
            else
                redis.call('DEL', preview)
                redis.call('SREM', previews, preview)
                redis.call('SREM', KEYS[6], preview)
            end
            if not finished[status] then
                if redis.call('EXISTS', preview) == 1 then
                    redis.call('HSET', preview, 'status', 'cancelled')
                end
                redis.call('PUBLISH', ARGV[8] .. string.match(preview, '[^:]*$'), 'cancelled')
            end
        end
    end
    return held
end

local status, worker, task, cancelling, size, output, counted, path, deliveries = unpack(redis.call('HMGET', key, 'status', 'worker',
    'task_id', 'cancelling', 'size', 'output_size', 'stored_bytes', 'converted_path', 'webhooks'))
if not status and not again then
    redis.call('ZREM', KEYS[2], id) -- it may have expired
    return {'ENOENT'}
end
if status then
    if is_needed() then
        return {'ETXTBSY'}
    end
    if open[status] and cancelling ~= task then
        return {'EBUSY', task or ''}
    end
    if (open[status] or (worker or '') ~= '') and not held_too then
        return {'EINPROGRESS'}
    end
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[2], id)
    redis.call('SREM', KEYS[5], key)
    redis.call('ZREM', KEYS[10], session .. '/' .. id)
    drop_tokens()
    if ARGV[11] == '' then
        drop_webhooks(deliveries)
    end
    free_bytes(tonumber(counted) or (tonumber(size) or 0) + (tonumber(output) or 0))
    tell()
    redis.call('PUBLISH', ARGV[7], id)
    redis.call('PUBLISH', ARGV[6], 'deleted')
end
return {drop_previews(path) > 0 and 'EINPROGRESS' or 'OK'}
