-- A subject's score as it has faded since its last failure, and whether a mark is among those it was counted for.
-- KEYS: the subject. ARGV: half-life in milliseconds, the mark of 3 digits or ''. {thousandths of the score, 1 or 0}
local kept = redis.call('HMGET', KEYS[1], 'score', 'at', 'marks')
if not kept[1] then
    return {0, 0}
end
local time = redis.call('TIME')
local passed = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - kept[2])
local marked = 0
for place = 1, #kept[3], 3 do
    if string.sub(kept[3], place, place + 2) == ARGV[2] then
        marked = 1
    end
end
return {math.floor(kept[1] * 2 ^ (-passed / ARGV[1]) * 1000 + 0.5), marked}
