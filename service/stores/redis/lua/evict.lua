-- Put a mark in the holder's place for as long as its lease had left, and another in its entry's place for a whole lease:
-- nobody waits for it longer, and its next renewal finds the lease lost all the same. Its own release takes the mark away.
-- KEYS: lock, session. ARGV: what such a mark begins with, milliseconds of a lease. 1: evicted; 0: nobody held it.
local current = redis.call('GET', KEYS[1])
if not current or string.sub(current, 1, #ARGV[1]) == ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. current, 'KEEPTTL')
redis.call('SET', KEYS[2], ARGV[1] .. current, 'PX', ARGV[2])
return 1
