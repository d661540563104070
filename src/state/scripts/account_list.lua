-- KEYS: the accounts by name (hash). ARGV: prefix of account keys. The fields of each.
local found = {}
for i, id in ipairs(redis.call('HVALS', KEYS[1])) do
    found[i] = redis.call('HGETALL', ARGV[1] .. id)
end
return found
