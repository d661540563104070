-- look: QUEUES. How they are: {now, delayed, claimed, dead, and for each of them waiting, oldest}. Times are ms since 1970; 0: nothing
-- waits that says since when.

local function oldest_of(queue)
    local oldest = 0
    for _, step in ipairs(STEPS) do
        local ms = longest_waiting(queue .. step)
        if ms > 0 and (oldest == 0 or ms < oldest) then
            oldest = ms
        end
    end
    return oldest
end

local ms = now()
local answer = {ms, redis.call('ZCARD', DELAYED), redis.call('HLEN', UNACKED), redis.call('LLEN', DEAD)}
for queue in string.gmatch(ARGV[1], '%S+') do
    answer[#answer + 1] = in_queues(queue)
    answer[#answer + 1] = oldest_of(queue)
end
return answer
