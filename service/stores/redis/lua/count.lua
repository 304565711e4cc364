-- Add to a subject's score, which has faded since its last failure, and keep a mark; the oldest of 16 makes room.
-- The key ends when less than half a failure is left of the score, or its marks aren't kept any more.
-- KEYS: the subject. ARGV: half-life in milliseconds, weight and most in thousandths, the mark of 3 digits or '', for how
-- many milliseconds it is kept at least. {thousandths of the score before, and after}
local half = tonumber(ARGV[1])
local kept = redis.call('HMGET', KEYS[1], 'score', 'at', 'marks')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before, marks = 0, kept[3] or ''
if kept[1] then
    before = kept[1] * 2 ^ (-math.max(0, now - kept[2]) / half)
end
local after = math.max(before, math.min(before + ARGV[2] / 1000, ARGV[3] / 1000))
local known = ARGV[4] == ''
for place = 1, #marks, 3 do
    known = known or string.sub(marks, place, place + 2) == ARGV[4]
end
if not known then
    marks = string.sub(ARGV[4] .. marks, 1, 48)
end
redis.call('HSET', KEYS[1], 'score', string.format('%.6f', after), 'at', string.format('%.0f', now), 'marks', marks)
local fades = half * math.max(1, math.log(after / 0.5) / math.log(2))
local left = math.max(redis.call('PTTL', KEYS[1]), fades, tonumber(ARGV[5]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left))
return {math.floor(before * 1000 + 0.5), math.floor(after * 1000 + 0.5)}
