-- ARGV: what stands before a session's id in the name of its key, and what follows it while the session
-- is being closed, then ids. For each 0: gone, 1: open, 2: being closed.
local answers = {}
for i = 3, #ARGV do
    local key = ARGV[1] .. ARGV[i]
    answers[i - 2] = redis.call('EXISTS', key) == 1 and 1 or redis.call('EXISTS', key .. ARGV[2]) == 1 and 2 or 0
end
return answers
