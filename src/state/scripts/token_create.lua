-- KEYS: the session, its tokens (zset by expiry), the new token, the jobs. ARGV: token, session id, now (ms), expiry (ms),
-- expiry (text), prefix of token keys, most tokens of a session, filename, "archive" for one link to all results or "" for
-- one to that of the only job, the jobs' ids.
-- Returns when the token expires, and for one job its file's path and MIME type; or why not, and of which job (from 0).
local limit = redis.call('PEXPIRETIME', KEYS[1])
local results, path, mime = {}, nil, nil
for i = 4, #KEYS do
    local status
    status, path, mime = unpack(redis.call('HMGET', KEYS[i], 'status', 'converted_path', 'output_mime_type'))
    if limit < 0 or not status then
        return {'ENOENT', i - 4}
    end
    if status ~= 'completed' then
        return {'EBUSY', i - 4}
    end
    results[i - 3] = ARGV[i + 6] .. '/' .. string.match(path or '', '[^/]*$')
end
local expiry, text = ARGV[4], ARGV[5]
if limit < tonumber(expiry) then
    expiry, text = limit, redis.call('HGET', KEYS[1], 'expires_at')
end
redis.call('HSET', KEYS[3], 'session_id', ARGV[2], 'filename', ARGV[8], 'expires_at', text)
if ARGV[9] == 'archive' then
    redis.call('HSET', KEYS[3], 'results', table.concat(results, ' '))
else
    redis.call('HSET', KEYS[3], 'job_id', ARGV[10], 'file_path', path, 'mime_type', mime)
end
redis.call('PEXPIREAT', KEYS[3], expiry)

-- Expired ones leave the set; when there are too many, the one that would expire first gives way.
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])
while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) do
    redis.call('DEL', ARGV[6] .. redis.call('ZPOPMIN', KEYS[2])[1])
end
redis.call('ZADD', KEYS[2], expiry, ARGV[1])
redis.call('PEXPIREAT', KEYS[2], limit)
return {'OK', text, path, mime}
