-- KEYS: the session, its jobs (zset), its tokens (zset), its name while it is closed, its previews (set). ARGV: prefixes of job keys, token
-- keys and job channels, the stop channel, now (text), error_code and error_message of a cancelled job, the session's channel, the prefix
-- of previews' channels.
-- Job and token keys are derived from the two sets: their names are known to nobody else.
-- May be repeated: what is gone is gone, and what is still held is counted again.
if redis.call('EXISTS', unpack(KEYS, 1, 4)) == 0 then
    return {'ENOENT', 0}
end
-- Gone for everybody but who closes it again, should this closing be cut short. It keeps its expiry.
-- Renaming first: a script that has begun to write is let through when Redis is out of memory.
if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('RENAME', KEYS[1], KEYS[4])
    redis.call('PUBLISH', ARGV[8], 'closed')
end
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('DEL', ARGV[2] .. token)
end
redis.call('DEL', KEYS[3])

local finished = {completed = true, failed = true, cancelled = true}
local under_way = {scanning = true, processing = true}
local running = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local key = ARGV[1] .. id
    local status, worker = unpack(redis.call('HMGET', key, 'status', 'worker'))
    if status then
        if under_way[status] or (worker and worker ~= '') then
            running = running + 1
        end
        if not finished[status] then
            redis.call('HSET', key, 'status', 'cancelled', 'completed_at', ARGV[5],
                'error_code', ARGV[6], 'error_message', ARGV[7])
            redis.call('PUBLISH', ARGV[4], id)
            redis.call('PUBLISH', ARGV[3] .. id, 'cancelled')
        end
    end
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    local status, worker, job = unpack(redis.call('HMGET', key, 'status', 'worker', 'job_id'))
    if worker and worker ~= '' then
        running = running + 1
    end
    if status and not finished[status] then
        redis.call('HSET', key, 'status', 'cancelled')
        redis.call('PUBLISH', ARGV[4], job)
        redis.call('PUBLISH', ARGV[9] .. string.match(key, '[^:]*$'), 'cancelled')
    end
end
return {'OK', running}
