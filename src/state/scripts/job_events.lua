-- The events of a session: each change of a job that a client can see has a number, higher than all before it.
-- Nobody who changes a job counts; who reads does: a job whose fields differ from what they were when it was last read has
-- changed, and gets the next number. All readers share the count, so a number means the same to each of them.
-- KEYS: the session, its jobs (zset), its events (hash: job id → number and digest, and when it has ended `=` and its task;
-- `last` → the highest number), the same jobs by their numbers (zset), jobs that were removed by theirs (zset; job_remove.lua).
-- ARGV: prefix of job keys, events after this number are wanted, most of them, how many fields clients see, the fields, then
-- ids of jobs that may have changed, or `*`.
-- Returns expiry, highest number, 1 when there are more, and for each job with an event: number, fields. Of a job that was removed
-- there is the first field alone, which is its id.
-- An account may have ten thousand jobs: but for `*`, no more of them are looked at than are asked about or told.
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return {'ENOENT'}
end
local prefix, since, most, n_fields = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local finished = {completed = true, failed = true, cancelled = true}
local PAGE = 1000
local fields, ids = {}, {}
for i = 5, #ARGV do
    if i < 5 + n_fields then
        fields[i - 4] = ARGV[i]
    else
        ids[#ids + 1] = ARGV[i]
    end
end

-- All but those that had ended when they were last looked at, and that nobody has begun again: then it is another task.
local function all_but_ended()
    local all, found = redis.call('ZRANGE', KEYS[2], 0, -1), {}
    for i = 1, #all, PAGE do
        local last_one = math.min(i + PAGE - 1, #all)
        local known = redis.call('HMGET', KEYS[3], unpack(all, i, last_one))
        for j = i, last_one do
            local task = known[j - i + 1] and known[j - i + 1]:match('=(.*)$')
            local status, its = unpack(task and redis.call('HMGET', prefix .. all[j], 'status', 'task_id') or {})
            if not (finished[status or ''] and its == task) then
                found[#found + 1] = all[j]
            end
        end
    end
    return found
end

if ids[1] == '*' then
    ids = all_but_ended()
end

-- Milliseconds since 1970 where the count is behind them: so a count that Redis lost in a crash does not repeat itself.
local last = tonumber(redis.call('HGET', KEYS[3], 'last') or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local numbers, shown, changed = {}, {}, false

-- Its number; false: it is gone.
local function look(id)
    local event = redis.call('HMGET', prefix .. id, unpack(fields))
    if not event[1] then
        redis.call('HDEL', KEYS[3], id)
        redis.call('ZREM', KEYS[4], id)
        return false
    end
    local seen = {}
    for i = 1, n_fields do
        seen[i] = event[i] or ''
    end
    local digest = redis.sha1hex(table.concat(seen, '\0'))
    local known = redis.call('HGET', KEYS[3], id)
    local number = known and tonumber(known:match('^%d+'))
    if not known or known:match('^%d+ (%x+)') ~= digest then
        local status, task = unpack(redis.call('HMGET', prefix .. id, 'status', 'task_id'))
        number = math.max(last + 1, now)
        last, changed = number, true
        redis.call('HSET', KEYS[3], id, string.format('%.0f %s%s', number, digest, finished[status or ''] and '=' .. (task or '') or ''))
        redis.call('ZADD', KEYS[4], string.format('%.0f', number), id)
    end
    shown[id] = event
    return number
end

for _, id in ipairs(ids) do
    if numbers[id] == nil then
        numbers[id] = look(id)
    end
end

-- What is found to have changed by now comes again, behind all others.
local events = {}
local from = since
while #events <= most do
    local page = redis.call('ZRANGEBYSCORE', KEYS[4], string.format('(%.0f', from), '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
    if #page == 0 then
        break
    end
    for i = 1, #page, 2 do
        local id = page[i]
        from = tonumber(page[i + 1])
        if numbers[id] == nil then
            numbers[id] = look(id)
        end
        if numbers[id] == from then
            events[#events + 1] = {from, unpack(shown[id])}
        end
    end
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[5], string.format('(%.0f', since), '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
for i = 1, #gone, 2 do
    events[#events + 1] = {tonumber(gone[i + 1]), gone[i]}
end
if changed then
    redis.call('HSET', KEYS[3], 'last', string.format('%.0f', last))
    for i = 3, 5 do
        redis.call('PEXPIREAT', KEYS[i], expiry)
    end
end

table.sort(events, function(a, b) return a[1] < b[1] end)
local answer = {'OK', expiry, last, #events > most and 1 or 0}
for i = 1, math.min(#events, most) do
    answer[#answer + 1] = events[i]
end
return answer
