-- look: QUEUES. How they are: {now, delayed, claimed, dead, and for each of them waiting, oldest}. Times are ms since 1970; 0: nothing
-- waits that says since when.

-- Sessions take turns (enqueue.lua), so that what is served next need not have been there longest. But whoever waits has its first
-- message in the round that is being served or in the next one, and what goes back into the queue is served before these.
local NEAR, STRIDE, LOOKED_BYTES = 1000, 100, 1048576

local function oldest_in(name)
    local list, served = PREFIX .. name, tonumber(redis.call('ZSCORE', PREFIX .. 'decant:turns:' .. name, '') or 0)
    local oldest, bytes = nil, 0
    for last = -1, -NEAR, -STRIDE do
        local messages = redis.call('LRANGE', list, last - STRIDE + 1, last)
        for i = #messages, 1, -1 do
            local ms, round = stamp_of(messages[i])
            if last == -1 and i == #messages then
                served = math.max(served, round)
            end
            if round > served + 1 then
                return oldest
            end
            if ms > 0 and not (oldest and oldest < ms) then
                oldest = ms
            end
            bytes = bytes + #messages[i]
        end
        if #messages < STRIDE or bytes > LOOKED_BYTES then
            break
        end
    end
    return oldest
end

local function oldest_of(queue)
    local oldest
    for _, step in ipairs(STEPS) do
        local ms = oldest_in(queue .. step)
        if ms and not (oldest and oldest < ms) then
            oldest = ms
        end
    end
    return oldest or 0
end

local ms = now()
local answer = {ms, redis.call('ZCARD', DELAYED), redis.call('HLEN', UNACKED), redis.call('LLEN', DEAD)}
for queue in string.gmatch(ARGV[1], '%S+') do
    answer[#answer + 1] = in_queues(queue)
    answer[#answer + 1] = oldest_of(queue)
end
return answer
