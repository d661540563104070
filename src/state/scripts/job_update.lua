-- KEYS: the job. ARGV: channel, then field, value, …
local status, progress = unpack(redis.call('HMGET', KEYS[1], 'status', 'progress'))
if not status then
    return redis.status_reply('ENOENT')
end
if status == 'completed' or status == 'failed' or status == 'cancelled' then
    return redis.status_reply('ECANCELED')
end

-- Progress never falls, unless this begins a new attempt.
local progress_at, new_attempt
for i = 2, #ARGV, 2 do
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
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PUBLISH', ARGV[1], status)
return redis.status_reply('OK')
