-- The jobs of a session, the youngest first. KEYS: its jobs (zset). ARGV: prefix of job keys, most of them, score and id of the one behind
-- which to begin (id empty: none), then the fields. Answers for each: its score, the fields. Jobs of one moment go by their ids.
local prefix, most, from, after = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local found, at, step = {}, 0, most + 1

while true do
    local page = redis.call('ZREVRANGEBYSCORE', KEYS[1], from, '-inf', 'WITHSCORES', 'LIMIT', at, step)
    for i = 1, #page, 2 do
        local id, score = page[i], page[i + 1]
        if after == '' or score ~= from or id < after then
            local fields = redis.call('HMGET', prefix .. id, unpack(ARGV, 5))
            if fields[1] then -- else it has expired
                found[#found + 1] = {score, unpack(fields)}
                if #found == most then
                    return {'OK', found}
                end
            end
        end
    end
    if #page < 2 * step then
        return {'OK', found}
    end
    at = at + step
end
