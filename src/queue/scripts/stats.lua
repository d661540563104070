-- stats: QUEUES. How many messages wait, and how many workers are alive.
local ms = now()

return {in_queues(ARGV[1]), redis.call('ZCOUNT', WORKERS, string.format('(%d', ms), '+inf')}
