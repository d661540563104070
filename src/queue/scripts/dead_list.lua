-- dead_list: FROM N. Of N dead letters from that place on (0 is the newest) what a table shows of each: {id, reason,
-- seconds, queue, bytes, task, task's id}.
local from, n = tonumber(ARGV[1]), tonumber(ARGV[2])

local function text(value)
    return type(value) == 'string' and value or ''
end

local rows = {}
for _, entry in ipairs(redis.call('LRANGE', DEAD, from, from + n - 1)) do
    local letter = cjson.decode(entry)
    local ok, m = pcall(cjson.decode, letter.message)
    local headers = ok and type(m) == 'table' and type(m.headers) == 'table' and m.headers or {}
    rows[#rows + 1] = {letter.id or 0, letter.reason, string.format('%.0f', letter.time), text(letter.queue),
                       letter.bytes, text(headers.task), text(headers.id)}
end
return rows
