-- A leaky bucket of logins: what the key has left to live is how full it is, and each login fills it by one delay.
-- KEYS: bucket. ARGV: milliseconds of a delay, how many logins it holds. 1: the login went in; 0: too soon, nothing changed.
local full = math.max(0, redis.call('PTTL', KEYS[1]))
if full > ARGV[1] * (ARGV[2] - 1) then
    return 0
end
redis.call('SET', KEYS[1], '1', 'PX', full + ARGV[1])
return 1
