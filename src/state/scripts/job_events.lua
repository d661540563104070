-- The events of a session: each change of a job that a client can see has a number, higher than all before it.
-- Nobody who changes a job counts; who reads does: a job whose fields differ from what they were when it was last read has
-- changed, and gets the next number. All readers share the count, so a number means the same to each of them.
-- KEYS: the session, its jobs (zset), its events (hash: job id → number and digest; `last` → the highest number).
-- ARGV: prefix of job keys, events after this number are wanted, most of them, how many fields clients see, the fields, then
-- ids of jobs that may have changed, or `*`.
-- Returns expiry, highest number, 1 when there are more, and for each job with an event: number, fields.
local expiry = redis.call('PEXPIRETIME', KEYS[1])
if expiry < 0 then
    return {'ENOENT'}
end
local prefix, since, most, n_fields = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local fields, ids = {}, {}
for i = 5, #ARGV do
    if i < 5 + n_fields then
        fields[i - 4] = ARGV[i]
    else
        ids[#ids + 1] = ARGV[i]
    end
end
if ids[1] == '*' then
    ids = redis.call('ZRANGE', KEYS[2], 0, -1)
end

-- Milliseconds since 1970 where the count is behind them: so a count that Redis lost in a crash does not repeat itself.
local last = tonumber(redis.call('HGET', KEYS[3], 'last') or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local events, changed = {}, false

local function look(id)
    local event = redis.call('HMGET', prefix .. id, unpack(fields))
    local seen = {}
    for i = 1, n_fields do
        seen[i] = event[i] or ''
    end
    local known = redis.call('HGET', KEYS[3], id)
    if not event[1] then
        redis.call('HDEL', KEYS[3], id)
        return
    end
    local digest = redis.sha1hex(table.concat(seen, '\0'))
    local number = known and tonumber(known:match('^%d+'))
    if not known or known:match('%x+$') ~= digest then
        number = math.max(last + 1, now)
        last, changed = number, true
        redis.call('HSET', KEYS[3], id, string.format('%.0f %s', number, digest))
    end
    if number > since then
        events[#events + 1] = {number, unpack(event)}
    end
end

local looked = {}
for _, id in ipairs(ids) do
    looked[id] = true
    look(id)
end
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
    local id = all[i]
    if id ~= 'last' and not looked[id] and tonumber(all[i + 1]:match('^%d+')) > since then
        look(id)
    end
end
if changed then
    redis.call('HSET', KEYS[3], 'last', string.format('%.0f', last))
    redis.call('PEXPIREAT', KEYS[3], expiry)
end

table.sort(events, function(a, b) return a[1] < b[1] end)
local answer = {'OK', expiry, last, #events > most and 1 or 0}
for i = 1, math.min(#events, most) do
    answer[#answer + 1] = events[i]
end
return answer
