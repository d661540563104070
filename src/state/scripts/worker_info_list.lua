-- The reports that have not expired. KEYS: the index. ARGV: now in ms, the most to return, prefix of the
-- hashes.
local reports = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
    local report = redis.call('HGETALL', ARGV[3] .. id)
    if #report > 0 then
        reports[#reports + 1] = report
    end
end
return reports
