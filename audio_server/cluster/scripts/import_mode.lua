-- Write the mode of a device that is at no node. KEYS: its row. ARGV: mode, whether it may be in the
-- place of another one.
if redis.call('HEXISTS', KEYS[1], 'h') == 1 then return {'connected'} end
if ARGV[2] == '0' and redis.call('HEXISTS', KEYS[1], 'm') == 1 then return {'there'} end
redis.call('HSET', KEYS[1], 'm', ARGV[1])
redis.call('PEXPIRE', KEYS[1], AWAY_MS)
return {'done'}
