-- due: moves messages whose time has come to where the next claim takes from, the earliest to be the first.
local ms = now()
local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', ms, 'LIMIT', 0, 1000)

for i = #due, 1, -1 do
    local space = string.find(due[i], ' ', 1, true)
    redis.call('RPUSH', string.sub(due[i], 1, space - 1), string.sub(due[i], space + 1))
    redis.call('ZREM', DELAYED, due[i])
end
return #due
