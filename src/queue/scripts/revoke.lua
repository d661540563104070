-- revoke: MAX TTL_S ID…. Remembered here, for the claims of all workers, whenever they start: the newest MAX, for TTL_S. Those that
-- were revoked before are as good as new.
local max, ttl_s = tonumber(ARGV[1]), tonumber(ARGV[2])
local ms = now()

for i = 3, #ARGV do
    redis.call('ZADD', REVOKED, ms, ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', REVOKED, '-inf', ms - ttl_s * 1000)
redis.call('ZREMRANGEBYRANK', REVOKED, 0, -1 - max)
redis.call('EXPIRE', REVOKED, ttl_s)
return 'OK'
