-- KEYS: a session's answers (hash), their names by time (zset). ARGV: name, owner, and the status and the text of its answer; without
-- these it is as if the request had never come. What is another owner's by now, or was forgotten, stays as it is.
local record = redis.call('HGET', KEYS[1], ARGV[1])
local r = record and cjson.decode(record)
if not r or r.answer or r.owner ~= ARGV[2] then
    return redis.status_reply('ENOENT')
end
if ARGV[3] then
    redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({fingerprint = r.fingerprint, status = ARGV[3], answer = ARGV[4]}))
else
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
end
return redis.status_reply('OK')
