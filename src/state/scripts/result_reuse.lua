-- KEYS: the session, a job that is uploaded, the one whose result it gets, the bytes stored by session (hash), their sum. ARGV: that
-- result's path, session id, bytes of the copy, most bytes of the session, of all (0: no such limit), the job's channel, then field,
-- value, …. ENOENT: the session is gone. ECANCELED: the job is. EBUSY: it was started. ESTALE: the result is gone. EFBIG: no room.
local path, id, bytes, session_max, all_max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.status_reply('ENOENT')
end
local status = redis.call('HGET', KEYS[2], 'status')
if status ~= 'uploaded' then
    return redis.status_reply(status and 'EBUSY' or 'ECANCELED')
end
local of_both = {'output_mime_type', 'output_size', 'output_pages', 'fonts_substituted', 'scan', 'engine', 'engine_version', 'sandbox'}
local result = redis.call('HMGET', KEYS[3], 'status', 'converted_path', unpack(of_both))
if result[1] ~= 'completed' or result[2] ~= path then
    return redis.status_reply('ESTALE')
end
local stored = tonumber(redis.call('HGET', KEYS[4], id) or 0)
if session_max > 0 and stored + bytes > session_max or all_max > 0 and (redis.call('GET', KEYS[5]) or 0) + bytes > all_max then
    return redis.status_reply('EFBIG')
end
local fields = {unpack(ARGV, 7)}
for i, field in ipairs(of_both) do
    fields[#fields + 1] = field
    fields[#fields + 1] = result[i + 2] or ''
end
redis.call('HSET', KEYS[2], unpack(fields))
if redis.call('HEXISTS', KEYS[4], id) == 1 then -- else it was given back, and nobody would do that again
    redis.call('HINCRBY', KEYS[4], id, ARGV[3])
    redis.call('INCRBY', KEYS[5], ARGV[3])
    if redis.call('HEXISTS', KEYS[2], 'stored_bytes') == 1 then
        redis.call('HINCRBY', KEYS[2], 'stored_bytes', ARGV[3])
    end
end
redis.call('PUBLISH', ARGV[6], 'completed')
return redis.status_reply('OK')
