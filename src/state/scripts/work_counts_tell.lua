-- KEYS: the counts of all workers (hash), what this worker has told so far (hash). ARGV: field, value, … since its start.
-- The worker's own goes a day after its last word; it would be another one then. All goes a month after any worker's.
for i = 1, #ARGV, 2 do
    local field, value = ARGV[i], ARGV[i + 1]
    local more = value - (redis.call('HGET', KEYS[2], field) or 0)
    if more > 0 then
        redis.call('HINCRBY', KEYS[1], field, string.format('%.0f', more))
        redis.call('HSET', KEYS[2], field, value)
    end
end
redis.call('EXPIRE', KEYS[2], 86400)
redis.call('EXPIRE', KEYS[1], 2592000)
return redis.status_reply('OK')
