-- KEYS: the session's jobs (zset). ARGV: prefix of job keys. How many of them a worker holds.
local running = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local worker = redis.call('HGET', ARGV[1] .. id, 'worker')
    if worker and worker ~= '' then
        running = running + 1
    end
end
return {'OK', running}
