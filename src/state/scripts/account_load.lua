-- KEYS: what leads to the account, or the account itself. ARGV: what that is ("id", "family" or "key"), the account's id ("" for
-- a key, which has it), SHA-256 of the API key's secret, prefix of account keys and of session keys, now (text), a minute ago
-- (text), then for each plan its name, when the account's space has to end at the earliest (ms), and when it ends once it is
-- moved on (ms, text).
-- The fields of the account, and the scopes of the API key.
local proof, id = ARGV[1], ARGV[2]
local scopes = ''
if proof == 'family' and redis.call('HGET', KEYS[1], 'account') ~= id then
    return {'ENOENT'}
end
-- A comparison that takes longer the more is right tells of the hash, not of the secret: nobody can choose secrets by the
-- beginning of their hash well enough to find one of 256 random bits.
if proof == 'key' then
    local hash, revoked
    id, hash, scopes, revoked = unpack(redis.call('HMGET', KEYS[1], 'account', 'hash', 'scopes', 'revoked_at'))
    if not id or hash ~= ARGV[3] or revoked ~= '' then
        return {'ENOENT'}
    end
end

local account = redis.call('HGETALL', ARGV[4] .. id)
local field = {}
for i = 1, #account, 2 do
    field[account[i]] = account[i + 1]
end
if not (field.space and field.plan) then
    return {'ENOENT'}
end
if field.disabled ~= '' then
    return {'EACCES'}
end

-- A key that is being used is good for its call even when Redis has no room to say when that was.
if proof == 'key' and (redis.call('HGET', KEYS[1], 'last_used_at') or '') < ARGV[7] then
    redis.pcall('HSET', KEYS[1], 'last_used_at', ARGV[6])
end
local space = ARGV[5] .. field.space
for i = 8, #ARGV, 4 do
    if ARGV[i] == field.plan then
        local expiry = redis.call('PEXPIRETIME', space)
        if expiry < tonumber(ARGV[i + 1]) then
            redis.call('HSETNX', space, 'created_at', ARGV[6])
            redis.call('HSET', space, 'expires_at', ARGV[i + 3], 'account', id, 'plan', field.plan)
            redis.call('PEXPIREAT', space, ARGV[i + 2])
        elseif redis.call('HGET', space, 'plan') ~= field.plan then
            redis.call('HSET', space, 'plan', field.plan)
        end
        return {'OK', account, scopes}
    end
end
return {'ENOENT'}
