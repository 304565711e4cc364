-- Add octets to what a maildrop had in its day, which begins with the first of them.
-- KEYS: counter. ARGV: octets, limit, milliseconds of a day. 0: more may be had; else the milliseconds until the day is over.
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if ARGV[1] ~= '0' then
    used = redis.call('INCRBY', KEYS[1], ARGV[1])
    if redis.call('PTTL', KEYS[1]) < 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
end
if used < tonumber(ARGV[2]) then
    return 0
end
return math.max(1, redis.call('PTTL', KEYS[1]))
