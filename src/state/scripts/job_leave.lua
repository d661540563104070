-- KEYS: the job's hash. ARGV: worker, channel. 1 when the job was this worker's.
if redis.call('HGET', KEYS[1], 'worker') ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[1], 'worker', '')
redis.call('PUBLISH', ARGV[2], redis.call('HGET', KEYS[1], 'status') or '')
return 1
