-- KEYS: the session's jobs (zset), its previews (set). ARGV: prefix of job keys. How many of them a worker holds.
local running = 0

local function count(key)
    local worker = redis.call('HGET', key, 'worker')
    if worker and worker ~= '' then
        running = running + 1
    end
end

for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    count(ARGV[1] .. id)
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    count(key)
end
return {'OK', running}
