-- KEYS: the session, the job, the session's tokens (zset by expiry), the new token. ARGV: token, session id,
-- job id, filename, now (ms), expiry (ms), expiry (text), prefix of token keys, most tokens of a session.
-- Returns the file's path, its MIME type and when the token expires.
local limit = redis.call('PEXPIRETIME', KEYS[1])
local status, path, mime = unpack(redis.call('HMGET', KEYS[2], 'status', 'converted_path', 'output_mime_type'))
if limit < 0 or not status then
    return {'ENOENT'}
end
if status ~= 'completed' then
    return {'EBUSY'}
end
local expiry, text = ARGV[6], ARGV[7]
if limit < tonumber(expiry) then
    expiry, text = limit, redis.call('HGET', KEYS[1], 'expires_at')
end
redis.call('HSET', KEYS[4], 'session_id', ARGV[2], 'job_id', ARGV[3], 'file_path', path,
    'filename', ARGV[4], 'mime_type', mime, 'expires_at', text)
redis.call('PEXPIREAT', KEYS[4], expiry)

-- Expired ones leave the set; when there are too many, the one that would expire first gives way.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[5])
while redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[9]) do
    redis.call('DEL', ARGV[8] .. redis.call('ZPOPMIN', KEYS[3])[1])
end
redis.call('ZADD', KEYS[3], expiry, ARGV[1])
redis.call('PEXPIREAT', KEYS[3], limit)
return {'OK', path, mime, text}
