-- KEYS: the job. ARGV: channel, now (text), error_code, error_message. One that waits or is under way is its worker's to end.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then
    return redis.status_reply('ENOENT')
end
if status ~= 'uploaded' and status ~= 'completed' then
    return redis.status_reply('EBUSY')
end
redis.call('HSET', KEYS[1], 'status', 'failed', 'completed_at', ARGV[2], 'error_code', ARGV[3], 'error_message', ARGV[4])
redis.call('PUBLISH', ARGV[1], 'failed')
return redis.status_reply('OK')
