-- Extend the lease of this token, or take it again if it was forgotten and nobody else holds the maildrop.
-- KEYS: lock, session. ARGV: token, milliseconds, what the mark of an eviction begins with.
-- 1: extended; 2: held, but the session's entry was forgotten; 0: lost to another token or to staff.
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then
    return 0
end
if not current then
    -- Whose eviction it is that is marked there: if not this session's, another's who came in the gap of this lease. The
    -- mark stays, as that one may stand still as well, and come after this renewal.
    if string.sub(redis.call('GET', KEYS[2]) or '', 1, #ARGV[3]) == ARGV[3] then
        return 0
    end
end
-- The first write: a full server refuses it, but none that follows another.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if not current then
    redis.call('DEL', KEYS[2])
end
if redis.call('PEXPIRE', KEYS[2], ARGV[2]) == 0 then
    return 2
end
return 1
