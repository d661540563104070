-- A question for the courier. KEYS: the questions (list). ARGV: the question, for how long they are kept without a new one (s), channel.
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], '')
return redis.status_reply('OK')
