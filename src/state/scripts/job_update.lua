-- KEYS: the job. ARGV: channel, task whose run speaks (empty: nobody's), then field, value, …
local task = ARGV[2]
local status, progress, its_task, cancelling = unpack(redis.call('HMGET', KEYS[1], 'status', 'progress', 'task_id', 'cancelling'))
if not status then
    return redis.status_reply('ENOENT')
end
if status == 'completed' or status == 'failed' or status == 'cancelled' then
    return redis.status_reply('ECANCELED')
end
if task ~= '' and (cancelling == task or (its_task or '') ~= '' and its_task ~= task) then
    return redis.status_reply('ECANCELED')
end

-- Progress never falls, unless this begins a new attempt.
local progress_at, new_attempt
for i = 3, #ARGV, 2 do
    if ARGV[i] == 'progress' then
        progress_at = i + 1
    elseif ARGV[i] == 'attempts' then
        new_attempt = true
    elseif ARGV[i] == 'status' then
        status = ARGV[i + 1]
    end
end
local before = tonumber(progress) or 0
if progress_at and not new_attempt and (tonumber(ARGV[progress_at]) or 0) < before then
    ARGV[progress_at] = progress
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PUBLISH', ARGV[1], status)
return redis.status_reply('OK')
