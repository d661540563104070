-- release: WORKER TAG ID [hash]. Unharmed, so the delivery does not count.
local worker, tag, id = ARGV[1], ARGV[2], ARGV[3]

if not claimed(worker, tag) then
    return 'ESTALE'
end
restore(tag)
redis.call('HDEL', CLAIMS .. worker, tag)
uncount(id)
return hash_change(4)
