-- Which watched jobs have ended, of whose last task nobody has been told. KEYS: the watch. ARGV: cursor, job (empty: a page of all from the
-- cursor on), now (ms), for how long (ms) an entry stays at least, as its task may not be in the queue yet. Answers {next cursor, {job,
-- session, task, status, URL, account} …}.
local now, least = tonumber(ARGV[3]), tonumber(ARGV[4])
local cursor, entries = '0', {ARGV[2], redis.call('HGET', KEYS[1], ARGV[2])}
if ARGV[2] == '' then
    cursor, entries = unpack(redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 100))
end

local function get(key, ...)
    local values = redis.call('HMGET', key, ...)
    for i = 1, select('#', ...) do
        values[i] = values[i] or ''
    end
    return unpack(values)
end

local is_final = {completed = true, failed = true, cancelled = true}
local ended = {}
for i = 1, #entries, 2 do
    local job, session, since = entries[i], string.match(entries[i + 1] or '', '^(%x+) (%d+)$')
    if session then
        local status, task, told, url = get('session:' .. session .. ':jobs:' .. job, 'status', 'task_id', 'called_back', 'callback_url')
        local account = get('session:' .. session, 'account')
        local open = is_final[status] and url ~= '' and account ~= '' and told ~= 'task ' .. task -- a job may have ended without one
        if open then
            ended[#ended + 1] = {job, session, task, status, url, account}
        elseif status == '' or account == '' or now - since > least and (is_final[status] or status == 'uploaded' or url == '') then
            redis.call('HDEL', KEYS[1], job)
        end
    elseif entries[i + 1] then
        redis.call('HDEL', KEYS[1], job) -- none of ours
    end
end
return {cursor, ended}
