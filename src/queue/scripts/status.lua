-- status: QUEUES. {now, queues, workers, delayed, due, claimed, dead}: of each queue {name, {length, ms} for each
-- priority's list}, where ms is since when the one waits that has waited longest (0: nobody knows); of each worker {name, end of its
-- lease, how many it holds}; when the first of the delayed ones is due (0: there is none).
local ms = now()
local queues, workers = {}, {}

for queue in string.gmatch(ARGV[1], '%S+') do
    local row = {queue}
    for _, step in ipairs(STEPS) do
        row[#row + 1] = {redis.call('LLEN', PREFIX .. queue .. step), longest_waiting(queue .. step)}
    end
    queues[#queues + 1] = row
end
local leases = redis.call('ZRANGEBYSCORE', WORKERS, string.format('(%d', ms), '+inf', 'WITHSCORES')
for i = 1, #leases, 2 do
    local held = redis.call('HLEN', CLAIMS .. leases[i]) - redis.call('HEXISTS', CLAIMS .. leases[i], 'owner')
    workers[#workers + 1] = {leases[i], tonumber(leases[i + 1]), held}
end
local due = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
return {ms, queues, workers, redis.call('ZCARD', DELAYED), tonumber(due[2] or 0), redis.call('HLEN', UNACKED),
        redis.call('LLEN', DEAD)}
