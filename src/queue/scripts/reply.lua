-- reply: EXCHANGE ROUTING_KEY MESSAGE MAX TTL_S. Into the lists that are bound there, as kombu's producers do it; none is bound when
-- the asker has gone. A list that nobody empties stays small, and goes.
local exchange, routing_key, message = ARGV[1], ARGV[2], ARGV[3]
local max, ttl_s = tonumber(ARGV[4]), tonumber(ARGV[5])

for _, member in ipairs(redis.call('SMEMBERS', PREFIX .. '_kombu.binding.' .. exchange)) do
    local key, list = string.match(member, '^(.-)\6\022.-\6\022(.+)$')
    if key == routing_key and redis.call('LLEN', PREFIX .. list) < max then
        redis.call('LPUSH', PREFIX .. list, message)
        redis.call('EXPIRE', PREFIX .. list, ttl_s)
    end
end
return 'OK'
