-- Count sessions in a circle for as long again, also those that were forgotten.
-- KEYS: circle. ARGV: milliseconds, then tokens.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for n = 2, #ARGV do
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[n])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
