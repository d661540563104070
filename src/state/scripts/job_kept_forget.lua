-- From now on the job ends with its session. KEYS: the jobs that are kept for a time (zset), the session, the job. ARGV: its member.
redis.call('ZREM', KEYS[1], ARGV[1])
local expiry = redis.call('PEXPIRETIME', KEYS[2])
if expiry > 0 then
    redis.call('PEXPIREAT', KEYS[3], expiry)
end
return redis.status_reply('OK')
