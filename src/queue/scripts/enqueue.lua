-- enqueue: QUEUE MAX_LENGTH STEP MESSAGE [hash]. Either all of it happens or nothing.
local queue, max, step, message = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local code = hash_check(5)

if code ~= 'OK' then
    return code
end
if in_queue(queue) >= max then
    return 'EAGAIN'
end
redis.call('LPUSH', queue .. STEPS[step + 1], message)
hash_set(5)
return 'OK'
