-- revoked: TTL_S MAX. The newest ids that are remembered, each followed by how many milliseconds ago it was revoked.
local ms = now()
local ids = redis.call('ZREVRANGEBYSCORE', REVOKED, '+inf', ms - tonumber(ARGV[1]) * 1000, 'WITHSCORES', 'LIMIT', 0, ARGV[2])

for i = 2, #ids, 2 do
    ids[i] = ms - tonumber(ids[i])
end
return ids
