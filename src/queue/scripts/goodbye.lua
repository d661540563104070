-- goodbye: WORKER OWNER. Whatever the worker still holds is the next to be served.
local worker, owner = ARGV[1], ARGV[2]

if is_other(worker, owner) then
    return 'EEXIST'
end
for _, tag in ipairs(redis.call('HKEYS', CLAIMS .. worker)) do
    if tag ~= 'owner' then
        restore(tag)
    end
end
redis.call('DEL', CLAIMS .. worker)
redis.call('ZREM', WORKERS, worker)
return 'OK'
