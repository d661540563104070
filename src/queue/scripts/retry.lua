-- retry: WORKER TAG ID DELAY_MS MAX MESSAGE META [hash]. The claimed message waits in the delayed set in its new form; the
-- delivery does not count. Whose hash is gone or has moved on is not tried again. ECANCELED and the first answer: as in done.
local worker, tag, id, delay_ms, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local message, meta = ARGV[6], ARGV[7]
local first = redis.call('GET', FINISHED .. tag)

if first then
    return first
end
local held = claimed(worker, tag)
if not held then
    return 'ESTALE'
end
if redis.call('ZCARD', DELAYED) >= max then
    return 'EAGAIN'
end
local _, queue = unwrap(held)
local code = task_check(8, id)
if code == 'ECANCELED' then
    return code
end
forget(worker, tag)
uncount(id)
if code == 'OK' then
    hash_set(8)
    local ms = now()
    redis.call('ZADD', DELAYED, ms + delay_ms, list_of(queue, message) .. ' ' .. message)
    local result = 'celery-task-meta-' .. id
    if meta ~= '' and not succeeded(result) then
        redis.call('SET', result, meta, 'EX', RESULT_TTL)
        redis.call('PUBLISH', result, meta)
    end
end
redis.call('SET', FINISHED .. tag, code, 'EX', ARGV[8] and 3600 or 60)
return code
