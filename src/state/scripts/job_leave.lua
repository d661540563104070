-- KEYS: the job's hash. ARGV: worker, channel, task. 1 when the job was this worker's, for that task.
local worker, task = unpack(redis.call('HMGET', KEYS[1], 'worker', 'task_id'))
if worker ~= ARGV[1] or (task or '') ~= '' and task ~= ARGV[3] then
    return 0
end
redis.call('HSET', KEYS[1], 'worker', '')
redis.call('PUBLISH', ARGV[2], redis.call('HGET', KEYS[1], 'status') or '')
return 1
