-- Goes in front of every script of the queue: the keys, and the steps that several of them share.
-- One Redis server, not a cluster: scripts name their keys themselves. All times are the server's own.
--
-- KEYS[1] is what stands in front of all their names but those of results: kombu's global_keyprefix, or nothing.
--
-- Messages are moved as text and never re-encoded: cjson would turn [] into {}.
local PREFIX = KEYS[1]
local UNACKED, INDEX = PREFIX .. 'unacked', PREFIX .. 'unacked_index'
local WORKERS, DELAYED = PREFIX .. 'decant:workers', PREFIX .. 'decant:delayed'
local DEAD, DEAD_ID = PREFIX .. 'decant:dead', PREFIX .. 'decant:dead:id'
local REVOKED = PREFIX .. 'decant:revoked'
local CLAIMS, DELIVERIES = PREFIX .. 'decant:claims:', PREFIX .. 'decant:deliveries:'
local FINISHED, WATCH = PREFIX .. 'decant:finished:', PREFIX .. 'decant:watch'
local STEPS = {'', '\6\0223', '\6\0226', '\6\0229'} -- kombu's separator is the two bytes 06 16
local WEEK, RESULT_TTL = 604800, 86400
local DEAD_MAX, DEAD_TTL, DEAD_BYTES = 10000, 2592000, 65536

-- Milliseconds as a number; seconds as text, since Lua would print a number of that size rounded.
local function now()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000), string.format('%s.%06d', t[1], t[2])
end

-- What we enqueue says at its front, where kombu's readers don't look, when that was, its round and its place
-- in the round (enqueue.lua); 0 is no round.
local function stamp(message, round, place)
    return string.format('{"decant":[%.0f,%d,%d],', (now()), round or 0, place or 0) .. string.sub(message, 2)
end

-- Also as another program has written it again. Strangers can write it, too: it decides of an order and no more.
local function stamp_of(message)
    local ms, round, place = string.match(message, '^{"decant": ?%[(%d+), ?(%d+), ?(%d+)%],')
    if not ms or #ms > 15 or #round > 12 or #place > 12 then
        return 0, 0, 0
    end
    return tonumber(ms), tonumber(round), tonumber(place)
end

-- With the time of now, and without a round; a message that has no stamp stays as it is.
local function restamp(message)
    local bare, n = string.gsub(message, '^{"decant": ?%[%d+, ?%d+, ?%d+%], ?', '{')
    return n > 0 and stamp(bare) or message
end

local function round_of(message)
    local _, round, place = stamp_of(message)
    return round, place
end

-- Since when the message of this list waits that has waited longest, of those that say, and among the first of them to be served; 0: none
-- says. Sessions take turns (enqueue.lua), so that what is next need not be it. But whoever waits has its first message in the round that
-- is being served or in the next one, and what went back into the queue is served before these.
local NEAR_FRONT, STRIDE, LOOKED_BYTES = 1000, 100, 1048576

local function longest_waiting(name)
    local list, served = PREFIX .. name, tonumber(redis.call('ZSCORE', PREFIX .. 'decant:turns:' .. name, '') or 0)
    local oldest, bytes = 0, 0
    for last = -1, -NEAR_FRONT, -STRIDE do
        local messages = redis.call('LRANGE', list, last - STRIDE + 1, last)
        for i = #messages, 1, -1 do
            local ms, round = stamp_of(messages[i])
            if last == -1 and i == #messages then
                served = math.max(served, round)
            end
            if round > served + 1 then
                return oldest
            end
            if ms > 0 and (oldest == 0 or ms < oldest) then
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

-- `queues`: names with spaces between.
local function in_queues(queues)
    local n = 0
    for queue in string.gmatch(queues, '%S+') do
        for _, step in ipairs(STEPS) do
            n = n + redis.call('LLEN', PREFIX .. queue .. step)
        end
    end
    return n
end

-- The list that kombu puts this message into.
local function list_of(queue, message)
    local ok, m = pcall(cjson.decode, message)
    local priority = ok and type(m) == 'table' and type(m.properties) == 'table' and
                         tonumber(m.properties.priority) or 0
    return PREFIX .. queue .. (STEPS[math.min(math.max(math.floor(priority / 3), 0), 3) + 1] or '')
end

-- What `unacked` holds for a claim: kombu's [message, exchange, routing_key]. The default exchange routes by
-- the queue's name, so a stock consumer that sweeps it finds the way.
local function wrap(message, queue)
    return '[' .. message .. ', "", "' .. queue .. '"]'
end

local function unwrap(held)
    return string.match(held, '^%[(.*), "", "([%w._-]+)"%]$')
end

-- For a reader that wants UTF-8 whatever a stranger sent, bytes from 80 on are written as \u0080 … \u00ff. The id
-- is first, and grows: the list is in the order of ids, with gaps (dead.lua).
local function dead_letter(reason, message, queue)
    local text = cjson.encode(string.sub(message, 1, DEAD_BYTES))
    text = string.gsub(text, '[\128-\255]', function(c) return string.format('\\u%04x', string.byte(c)) end)
    local _, seconds = now()
    local id = redis.call('INCR', DEAD_ID)
    redis.call('LPUSH', DEAD, '{"id":' .. id .. ',"reason":' .. cjson.encode(reason) .. ',"time":' .. seconds ..
                              ',"queue":' .. cjson.encode(queue) .. ',"bytes":' .. #message .. ',"message":' ..
                              text .. '}')
    redis.call('LTRIM', DEAD, 0, DEAD_MAX - 1)
    redis.call('EXPIRE', DEAD, DEAD_TTL)
    redis.call('EXPIRE', DEAD_ID, DEAD_TTL)
end

-- What the worker's claim holds, or nil when it is the worker's no more.
local function claimed(worker, tag)
    return redis.call('HEXISTS', CLAIMS .. worker, tag) == 1 and redis.call('HGET', UNACKED, tag) or nil
end

local function forget(worker, tag)
    redis.call('HDEL', UNACKED, tag)
    redis.call('ZREM', INDEX, tag)
    redis.call('HDEL', CLAIMS .. worker, tag)
end

-- Back to where the next claim takes from, or there into another queue. Not when it is in `unacked` no more:
-- then somebody else has acknowledged or restored it.
local function restore(tag, to)
    local held = redis.call('HGET', UNACKED, tag)
    redis.call('HDEL', UNACKED, tag)
    redis.call('ZREM', INDEX, tag)
    if not held then
        return 0
    end
    local message, queue = unwrap(held)
    if not message then
        dead_letter('not a claim of ours', held, '')
        return 0
    end
    redis.call('RPUSH', list_of(to or queue, message), message)
    return 1
end

local function uncount(id)
    if redis.call('DECR', DELIVERIES .. id) <= 0 then
        redis.call('DEL', DELIVERIES .. id)
    end
end

-- A success stands, whatever a second run of the same task says: stock backends read it the same way.
local function succeeded(key)
    local stored = redis.call('GET', key)
    local ok, m = pcall(cjson.decode, stored or '')
    return ok and type(m) == 'table' and m.status == 'SUCCESS'
end

-- Two workers under one name would take each other's work: the first one's key to the name stays with its
-- claims.
local function is_other(worker, owner)
    local holder = redis.call('HGET', CLAIMS .. worker, 'owner')
    return holder and holder ~= owner
end

-- A hash changed in the same breath: ARGV from `i` on is key, field, expected, channel, name, value, …
local function hash_check(i)
    local key, field, expected = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if not key then
        return 'OK'
    end
    if redis.call('EXISTS', key) == 0 then
        return 'ENOENT'
    end
    local value = redis.call('HGET', key, field)
    if not value or not string.find(' ' .. expected .. ' ', ' ' .. value .. ' ', 1, true) then
        return 'EBUSY'
    end
    return 'OK'
end

-- The same for the hash of a job that task `id` was to run. One that was started anew has another task by now: EBUSY. One
-- whose task is to be stopped (cancel.lua) ends as nothing else: ECANCELED.
local function task_check(i, id)
    local code = hash_check(i)
    if code ~= 'OK' or not ARGV[i] then
        return code
    end
    local task, cancelling = unpack(redis.call('HMGET', ARGV[i], 'task_id', 'cancelling'))
    if task and task ~= '' and task ~= id then
        return 'EBUSY'
    end
    return cancelling == id and 'ECANCELED' or 'OK'
end

local function hash_set(i)
    if not ARGV[i] then
        return
    end
    if ARGV[i + 4] then
        redis.call('HSET', ARGV[i], unpack(ARGV, i + 4))
    end
    redis.call('PUBLISH', ARGV[i + 3], redis.call('HGET', ARGV[i], 'status') or '')
end

