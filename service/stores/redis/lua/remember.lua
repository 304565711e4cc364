-- Count one event among those of its sort, and forget the longest silent sort of its kind where there are too many.
-- KEYS: register. ARGV: sort (its prefix is the kind), octets of that prefix, milliseconds of the event, its id, its facts,
-- how many sorts of a kind to keep, milliseconds until all is forgotten. A field is first|last|count|id|facts.
-- 1: counted; 0: it was counted before.
local sort, moment, id = ARGV[1], ARGV[3], ARGV[4]
local first, count = moment, 0
local old = redis.call('HGET', KEYS[1], sort)
if old then
    local began, times, last_id = string.match(old, '^(%d+)|%d+|(%d+)|(%w+)|')
    if last_id == id then
        return 0
    end
    first, count = began or moment, tonumber(times) or 0
else
    local kind, sorts, oldest, since = string.sub(sort, 1, tonumber(ARGV[2])), 0, nil, nil
    local all = redis.call('HGETALL', KEYS[1])
    for place = 1, #all, 2 do
        if string.sub(all[place], 1, #kind) == kind then
            local last = tonumber(string.match(all[place + 1], '^%d+|(%d+)|')) or 0
            sorts = sorts + 1
            if not since or last < since then
                oldest, since = all[place], last
            end
        end
    end
    if sorts >= tonumber(ARGV[6]) then
        redis.call('HDEL', KEYS[1], oldest)
    end
end
redis.call('HSET', KEYS[1], sort, first .. '|' .. moment .. '|' .. (count + 1) .. '|' .. id .. '|' .. ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return 1
