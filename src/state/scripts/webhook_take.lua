-- Takes deliveries that are due, for a time: whoever dies meanwhile is followed by another. KEYS: the due ones (zset). ARGV: who takes, for
-- how long (ms), how many, how many of one account, then account, how many of its are under way, … Answers {ms until the next is due (-1:
-- none), {id, account, job, URL, body, attempts, hosts, secret, disabled} …}.
local owner, lease, room, each = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local LOOK, CROWDED_MS = 256, 1000
local under_way = {}
for i = 5, #ARGV, 2 do
    under_way[ARGV[i]] = tonumber(ARGV[i + 1])
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function get(key, ...)
    local values = redis.call('HMGET', key, ...)
    for i = 1, select('#', ...) do
        values[i] = values[i] or ''
    end
    return values
end

local taken = {}
for _, id in ipairs(room > 0 and redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, LOOK) or {}) do
    local key = 'webhook:' .. id
    local account, job, url, body, attempts, state = unpack(get(key, 'account', 'job', 'url', 'body', 'attempts', 'state'))
    local n = under_way[account] or 0
    if state ~= 'waiting' then
        redis.call('ZREM', KEYS[1], id)
    elseif n >= each then
        redis.call('ZADD', KEYS[1], now + CROWDED_MS, id) -- others come first
    elseif #taken < room then
        redis.call('ZADD', KEYS[1], now + lease, id)
        redis.call('HSET', key, 'owner', owner)
        under_way[account] = n + 1
        local hosts, secret, disabled = unpack(get('account:' .. account, 'webhook_hosts', 'webhook_secret', 'disabled'))
        taken[#taken + 1] = {id, account, job, url, body, attempts, hosts, secret, disabled}
    end
end
local due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {due and math.max(0, due - now) or -1, taken}
