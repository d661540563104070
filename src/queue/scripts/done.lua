-- done: WORKER TAG ID STATUS META REASON TALLY NAME BY SHARE N_MESSAGES N_RESULTS (LIST MESSAGE)… (ID META)… [hash]. TALLY
-- is empty when nothing is to be counted; SHARE is what it is counted for (state/stored.h). META is empty when nobody wants the
-- result, REASON unless the message goes to the dead letters. The messages follow this task; the results are those of tasks that
-- won't run.
--
-- ECANCELED: the job is to be cancelled, and nothing has changed: it has to end as REVOKED.
--
-- The first answer is kept: a worker whose connection broke asks again, and must not be told that the work it
-- has just finished is somebody else's, or it would remove the files of a finished job. With a job it is kept
-- for longer than Redis should ever be away; without one, nothing but a wrong error code is at stake.
local worker, tag, id, status, meta, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local result = 'celery-task-meta-' .. id
local tally, name, by, share = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local n_messages, n_results = tonumber(ARGV[11]), tonumber(ARGV[12])
local first_result = 13 + 2 * n_messages
local hash = first_result + 2 * n_results
local answer_ttl = ARGV[hash] and 3600 or 60

local function store(key, text)
    redis.call('SET', key, text, 'EX', RESULT_TTL)
    redis.call('PUBLISH', key, text)
end

-- The name of the list is a stranger's word: what lies there may be anything.
local function follow(list, message)
    local pushed = redis.pcall('LPUSH', PREFIX .. list, stamp(message))
    if type(pushed) == 'table' and pushed.err then
        dead_letter('the queue that it was to go to is none', message, '')
    end
end

local first = redis.call('GET', FINISHED .. tag)
if first then
    return first
end
local held = claimed(worker, tag)
if not held then
    return 'ESTALE'
end
local code = task_check(hash, id)
if code == 'ECANCELED' and status ~= 'REVOKED' then
    return code
elseif code == 'ECANCELED' then
    code = 'OK'
end
forget(worker, tag)
redis.call('DEL', DELIVERIES .. id)
if reason ~= '' then
    local message, queue = unwrap(held)
    dead_letter(reason, message or held, queue or '')
end
if meta ~= '' and (status == 'SUCCESS' or not succeeded(result)) then
    store(result, meta)
end
for i = 13, first_result - 1, 2 do
    follow(ARGV[i], ARGV[i + 1])
end
for i = first_result, hash - 1, 2 do
    local key = 'celery-task-meta-' .. ARGV[i]
    if not succeeded(key) then
        store(key, ARGV[i + 1])
    end
end
if code == 'OK' then
    hash_set(hash)
end
-- Not for a name, or for a share, that has been given back: nobody would do it again.
if tally ~= '' and code == 'OK' and redis.call('HEXISTS', tally, name) == 1 and redis.call('EXISTS', share) == 1 then
    redis.call('HINCRBY', tally, name, by)
    redis.call('INCRBY', tally .. ':sum', by)
    if redis.call('HEXISTS', share, 'stored_bytes') == 1 then
        redis.call('HINCRBY', share, 'stored_bytes', by)
    end
end
redis.call('SET', FINISHED .. tag, code, 'EX', answer_ttl)
return code
