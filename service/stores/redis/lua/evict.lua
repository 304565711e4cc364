-- Put a token that no session has in the holder's place, so that its next renewal finds the lease lost.
-- KEYS: lock, session. ARGV: that token, milliseconds until the maildrop is free. 1: evicted; 0: nobody held it.
local current = redis.call('GET', KEYS[1])
if not current or current == ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
return 1
