-- release: WORKER TAG ID TO [hash]. Unharmed, so the delivery does not count. TO is another queue, or empty. ECANCELED: as in done.
local worker, tag, id, to = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if not claimed(worker, tag) then
    return 'ESTALE'
end
local code = task_check(5, id)
if code == 'ECANCELED' then
    return code
end
restore(tag, to ~= '' and to or nil)
redis.call('HDEL', CLAIMS .. worker, tag)
uncount(id)
if code == 'OK' then
    hash_set(5)
end
return code
