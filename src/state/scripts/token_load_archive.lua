-- KEYS: the token. ARGV: prefix of session keys, what a job's key has between session and job, prefix of account keys.
-- The session's id, the archive's name, and for each result the job's id, its path and the name of what was uploaded; ENOENT
-- when there is no such token, or when it is not what it was made for: its session has to be there, of nobody or of an
-- account that isn't disabled, and each job completed with just that file. The keys of all follow from the token.
local session_id, filename, results = unpack(redis.call('HMGET', KEYS[1], 'session_id', 'filename', 'results'))
if not (session_id and filename and results) then
    return {'ENOENT'}
end
local session = ARGV[1] .. session_id
local ends, account = unpack(redis.call('HMGET', session, 'expires_at', 'account'))
if not ends or (account and redis.call('HGET', ARGV[3] .. account, 'disabled') ~= '') then
    return {'ENOENT'}
end
local found = {}
for job_id, file in string.gmatch(results, '([^/ ]+)/([^/ ]+)') do
    local status, path, name =
        unpack(redis.call('HMGET', session .. ARGV[2] .. job_id, 'status', 'converted_path', 'original_filename'))
    if status ~= 'completed' or string.match(path or '', '[^/]*$') ~= file then
        return {'ENOENT'}
    end
    found[#found + 1] = {job_id, path, name or ''}
end
return {'OK', session_id, filename, found}
