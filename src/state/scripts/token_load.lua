-- KEYS: the token. ARGV: prefix of session keys, what a job's key has between session and job.
-- The fields of the token as a list of names and values; ENOENT when there is none, or when it is not what it was made for:
-- its session has to be there, and its job completed with just that file. The keys of both follow from the token.
local token = redis.call('HGETALL', KEYS[1])
local field = {}
for i = 1, #token, 2 do
    field[token[i]] = token[i + 1]
end
if not (field.session_id and field.job_id and field.file_path) then
    return {'ENOENT'}
end
local session = ARGV[1] .. field.session_id
local status, path = unpack(redis.call('HMGET', session .. ARGV[2] .. field.job_id, 'status', 'converted_path'))
if redis.call('EXISTS', session) == 0 or status ~= 'completed' or path ~= field.file_path then
    return {'ENOENT'}
end
return {'OK', token}
