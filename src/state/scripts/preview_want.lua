-- KEYS: the session, its previews (set), this one, the job. ARGV: time to live (ms), job id, the status that is no answer ("": each is one).
-- Answers the status and the error_code. One that was cancelled while its job is there (an operator has revoked the task) may be wanted again. The set never ends before one of its members.
local limit = redis.call('PEXPIRETIME', KEYS[1])
if limit < 0 or redis.call('EXISTS', KEYS[4]) == 0 then
    return {'ENOENT'}
end
local status, code = unpack(redis.call('HMGET', KEYS[3], 'status', 'error_code'))
if status and status ~= 'wanted' and status ~= 'cancelled' and status ~= ARGV[3] then
    return {'OK', status, code or ''}
end
local now = redis.call('TIME')
local expiry = string.format('%.0f', math.min(now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1], limit))
redis.call('HSET', KEYS[3], 'status', 'wanted', 'job_id', ARGV[2], 'task_id', '', 'worker', '', 'error_code', '')
redis.call('PEXPIREAT', KEYS[3], expiry)
redis.call('SADD', KEYS[2], KEYS[3])
redis.call('PEXPIREAT', KEYS[2], expiry)
return {'OK', 'wanted', ''}
