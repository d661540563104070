-- release: WORKER TAG ID TO [hash]. Unharmed, so the delivery does not count. TO is another queue, or empty.
local worker, tag, id, to = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if not claimed(worker, tag) then
    return 'ESTALE'
end
restore(tag, to ~= '' and to or nil)
redis.call('HDEL', CLAIMS .. worker, tag)
uncount(id)
return hash_change(5)
