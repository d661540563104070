-- KEYS: where a family's token is. ARGV: prefix of family keys. The key of the family follows from the token's.
-- Returns the account's id.
local family, account = unpack(redis.call('HMGET', KEYS[1], 'family', 'account'))
redis.call('DEL', KEYS[1])
if not family or redis.call('DEL', ARGV[1] .. family) == 0 then
    return {'ENOENT'}
end
return {'OK', account}
