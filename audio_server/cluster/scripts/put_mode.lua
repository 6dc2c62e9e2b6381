-- Write a mode. KEYS: the row. ARGV: node, epoch, mode. An epoch that is over changes nothing; a row
-- that the engine has lost comes back.
local e = tonumber(redis.call('HGET', KEYS[1], 'e') or '0')
if e > tonumber(ARGV[2]) then return {'over', text(e)} end
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'n', ARGV[1], 'm', ARGV[3])
redis.call('PEXPIRE', KEYS[1], AWAY_MS)
return {'kept'}
