-- KEYS: the API key. ARGV: now (text).
local revoked = redis.call('HGET', KEYS[1], 'revoked_at')
if not revoked then
    return redis.status_reply('ENOENT')
end
if revoked == '' then
    redis.call('HSET', KEYS[1], 'revoked_at', ARGV[1])
end
return redis.status_reply('OK')
