-- A page of all deliveries, the newest first. KEYS: all (zset). ARGV: how many to pass over, how many to look at, account (empty: any), state
-- (empty: any), then the fields. Answers {how many were looked at, values …}, a list for each.
local first, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local ids = redis.call('ZREVRANGE', KEYS[1], first, first + n - 1)
local rows = {#ids}
for _, id in ipairs(ids) do
    local account, state = unpack(redis.call('HMGET', 'webhook:' .. id, 'account', 'state'))
    if account and (ARGV[3] == '' or account == ARGV[3]) and (ARGV[4] == '' or state == ARGV[4]) then
        local row = redis.call('HMGET', 'webhook:' .. id, unpack(ARGV, 5))
        for i = 5, #ARGV do
            row[i - 4] = row[i - 4] or ''
        end
        rows[#rows + 1] = row
    end
end
return rows
