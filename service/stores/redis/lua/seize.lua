-- Put this token in the holder's place, unless staff evicted the holder, or this token from a lease that ran out since.
-- KEYS: lock, session. ARGV: token, milliseconds, holder, what the mark of an eviction begins with.
-- 1: held by this token; 0: evicted.
local current = redis.call('GET', KEYS[1])
if current and string.sub(current, 1, #ARGV[4]) == ARGV[4] then
    return 0
end
if not current and redis.call('GET', KEYS[2]) == ARGV[4] .. ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return 1
