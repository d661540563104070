-- KEYS: what leads from a name, or from a subject, to the account's id (hash). ARGV: the name or subject, prefix of account keys.
local id = redis.call('HGET', KEYS[1], ARGV[1])
if not id then
    return {'ENOENT'}
end
return {'OK', redis.call('HGETALL', ARGV[2] .. id)}
