-- Put a mark in the holder's place, so that its next renewal finds the lease lost. Its own release takes the mark away.
-- KEYS: lock, session. ARGV: what such a mark begins with, milliseconds it stays at most. 1: evicted; 0: nobody held it.
local current = redis.call('GET', KEYS[1])
if not current or string.sub(current, 1, #ARGV[1]) == ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. current, 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
return 1
