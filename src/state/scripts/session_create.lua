-- KEYS: the session. ARGV: when it expires (ms), then field, value, …
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return redis.status_reply('OK')
