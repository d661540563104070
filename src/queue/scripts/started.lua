-- started: WORKER TAG ID META. A state that is not the last one: the claim stays.
local worker, tag, result, meta = ARGV[1], ARGV[2], 'celery-task-meta-' .. ARGV[3], ARGV[4]

if not claimed(worker, tag) then
    return 'ESTALE'
end
redis.call('SET', result, meta, 'EX', RESULT_TTL)
redis.call('PUBLISH', result, meta)
return 'OK'
