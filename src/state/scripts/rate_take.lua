-- KEYS: the buckets. ARGV: units wanted, then count, period (ms) and burst of each bucket.
-- A key holds when its bucket will be full again (GCRA's theoretical arrival time), in microseconds of the server's own clock.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local granted = tonumber(ARGV[1])
local full, step, size = {}, {}, {}
local refuser, retry = 1, 0

for i = 1, #KEYS do
    step[i] = ARGV[3 * i] * 1000 / ARGV[3 * i - 1]
    size[i] = step[i] * ARGV[3 * i + 1]
    -- Never later than an empty bucket takes, or a clock that was set back would lock clients out.
    full[i] = math.min(math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now), now + size[i])
    granted = math.min(granted, math.floor((now + size[i] - full[i]) / step[i]))
    local wait = full[i] + step[i] - now - size[i]
    if wait > retry then
        refuser, retry = i, wait
    end
end
if granted <= 0 then
    return {0, refuser, 0, math.ceil((full[refuser] - now) / 1000), math.ceil(retry / 1000)}
end

local least, remaining = 1, math.huge
for i = 1, #KEYS do
    full[i] = full[i] + granted * step[i]
    redis.call('SET', KEYS[i], string.format('%.0f', full[i]), 'PX', math.ceil((full[i] - now) / 1000))
    local left = math.floor((now + size[i] - full[i]) / step[i])
    if left < remaining then
        least, remaining = i, left
    end
end
return {granted, least, math.max(remaining, 0), math.ceil((full[least] - now) / 1000), 0}
