-- Free the maildrop if this token holds it.
-- KEYS: lock, session. ARGV: token. 1: freed; 0: another token's, or free already.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
