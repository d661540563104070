-- KEYS: the accounts by name (hash). ARGV: prefix of account keys, what follows it in the name of an account's set of API keys,
-- prefix of keys of API keys, an account's id, or "" for all.
-- For each its id, its account's name and its fields.
local ids = {ARGV[4]}
if ARGV[4] == '' then
    ids = redis.call('HVALS', KEYS[1])
elseif redis.call('EXISTS', ARGV[1] .. ARGV[4]) == 0 then
    return {'ENOENT'}
end
local found = {}
for _, id in ipairs(ids) do
    local name = redis.call('HGET', ARGV[1] .. id, 'name')
    for _, key in ipairs(redis.call('SMEMBERS', ARGV[1] .. id .. ARGV[2])) do
        found[#found + 1] = {key, name, redis.call('HGETALL', ARGV[3] .. key)}
    end
end
return {'OK', found}
