-- look: QUEUES. How they are: {now, delayed, claimed, dead, and for each of them waiting, oldest}. Times are ms since 1970; 0: nothing
-- waits that says since when.
local DEEP_BYTES = 1048576

-- What is served next in a list has been there longest: what goes back into the queue goes to that end, too.
local function queued(list)
    local message = redis.call('LINDEX', list, -1)
    local ok, m = pcall(cjson.decode, message and #message <= DEEP_BYTES and message or '')
    local ms = ok and type(m) == 'table' and type(m.headers) == 'table' and m.headers.decant_queued_ms
    -- A number that Redis can answer with.
    return type(ms) == 'number' and ms > 0 and ms < 2 ^ 53 and math.floor(ms) or nil
end

local function oldest_of(queue)
    local oldest
    for _, step in ipairs(STEPS) do
        local ms = queued(PREFIX .. queue .. step)
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
