-- Take the maildrop, or keep it if this token holds it already, so that a repeated call does no harm.
-- KEYS: lock, session. ARGV: token, milliseconds, holder. 1: held by this token; 0: by another.
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return 1
