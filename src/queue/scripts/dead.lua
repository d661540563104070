-- dead: WHAT ID [QUEUES MAX_LENGTH [hash]]. One dead letter is shown, dropped, or put back into its queue: behind
-- all that waits there, as if it had never been tried. ENOENT: there is none with that id. Of a replay: EMSGSIZE
-- when only a part of the message was kept; EINVAL when nobody knows where it belongs; EAGAIN when the queue is
-- full; and what the hash says.
local what, id = ARGV[1], tonumber(ARGV[2])

local function id_at(index)
    local entry = redis.call('LINDEX', DEAD, index)
    return tonumber(string.match(entry, '^{"id":(%d+),') or 0), entry
end

-- The newest has the highest id.
local function find()
    local low, high = 0, redis.call('LLEN', DEAD) - 1
    while low <= high do
        local middle = math.floor((low + high) / 2)
        local found, entry = id_at(middle)
        if found == id then
            return entry
        elseif found > id then
            low = middle + 1
        else
            high = middle - 1
        end
    end
end

local function bytes_of(text)
    return (string.gsub(text, '([\194\195])([\128-\191])', function(first, second)
        return first == '\194' and second or string.char(string.byte(second) + 64)
    end))
end

local function replay(letter)
    local queues, max = ARGV[3], tonumber(ARGV[4])
    local message = bytes_of(letter.message)
    if #message ~= letter.bytes then
        return 'EMSGSIZE'
    end
    if not letter.queue or letter.queue == '' then
        return 'EINVAL'
    end
    if in_queues(queues) >= max then
        return 'EAGAIN'
    end
    local ok, m = pcall(cjson.decode, message)
    local task = ok and type(m) == 'table' and type(m.headers) == 'table' and m.headers.id
    local code = task_check(5, task)
    if code ~= 'OK' then
        return code
    end
    hash_set(5)
    if type(task) == 'string' then
        redis.call('DEL', DELIVERIES .. task, 'celery-task-meta-' .. task)
    end
    redis.call('LPUSH', list_of(letter.queue, message), restamp(message))
    return 'OK'
end

local entry = id > 0 and find()
local code = 'OK'
if not entry then
    return 'ENOENT'
end
if what == 'show' then
    return {entry}
end
if what == 'replay' then
    code = replay(cjson.decode(entry))
end
if code == 'OK' then
    redis.call('LREM', DEAD, 1, entry)
end
return code
