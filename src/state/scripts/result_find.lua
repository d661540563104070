-- KEYS: a session's results (hash: fingerprint of a conversion → job), the same by when they were begun (zset). ARGV: fingerprint, how
-- old one may be (ms). Answers {OK, job} or {ENOENT}.
local t = redis.call('TIME')
local oldest = t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[2]
local job = redis.call('HGET', KEYS[1], ARGV[1])
if not job or tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0) < oldest then
    return {'ENOENT'}
end
return {'OK', job}
