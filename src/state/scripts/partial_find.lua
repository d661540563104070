-- KEYS: the partial upload, the job that it may have become, the session's refused uploads (hash). ARGV: id, the id's channel, what is told
-- there to whoever writes it now (empty: nothing).
local fields = redis.call('HGETALL', KEYS[1])
if #fields > 0 then
    local t = redis.call('TIME')
    if tonumber(redis.call('HGET', KEYS[1], 'expires_ms')) <= t[1] * 1000 + math.floor(t[2] / 1000) then
        return {'ENOENT'}
    end
    if ARGV[3] ~= '' then
        redis.call('PUBLISH', ARGV[2], ARGV[3])
    end
    return {'OK', fields}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return {'EEXIST'}
end
local refusal = redis.call('HGET', KEYS[3], ARGV[1])
return refusal and {'ECANCELED', refusal} or {'ENOENT'}
