-- Free the maildrop if this token holds it, or was evicted from it.
-- KEYS: lock, session. ARGV: token, the mark of its eviction. 1: freed; 0: another token's, or free already.
local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] and current ~= ARGV[2] then
    return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
