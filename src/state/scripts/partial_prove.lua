-- KEYS: the partial upload. ARGV: how many bytes of it are sure (empty: all).
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.status_reply('ENOENT')
end
redis.call('HSET', KEYS[1], 'proved', ARGV[1])
return redis.status_reply('OK')
