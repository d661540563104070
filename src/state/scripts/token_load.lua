-- KEYS: the token. ARGV: prefix of session keys, what a job's key has between session and job, prefix of account keys.
-- The fields of the token as a list of names and values; ENOENT when there is none, or when it is not what it was made for:
-- its session has to be there, of nobody or of an account that isn't disabled, and its job completed with just that file. The keys
-- of all follow from the token.
local token = redis.call('HGETALL', KEYS[1])
local field = {}
for i = 1, #token, 2 do
    field[token[i]] = token[i + 1]
end
if not (field.session_id and field.job_id and field.file_path) then
    return {'ENOENT'}
end
local session = ARGV[1] .. field.session_id
local ends, account = unpack(redis.call('HMGET', session, 'expires_at', 'account'))
if not ends or (account and redis.call('HGET', ARGV[3] .. account, 'disabled') ~= '') then
    return {'ENOENT'}
end
local status, path = unpack(redis.call('HMGET', session .. ARGV[2] .. field.job_id, 'status', 'converted_path'))
if status ~= 'completed' or path ~= field.file_path then
    return {'ENOENT'}
end
return {'OK', token}
