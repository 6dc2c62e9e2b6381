-- Give a device a token. KEYS: its record. ARGV: the token's hash, the time, and whether it may be in
-- the place of another one.
if ARGV[3] == '0' and redis.call('HGET', row_of(id), 't') then return {'there'} end
redis.call('HSET', row_of(id), 't', ARGV[1], 'd', ARGV[2])
return {'done', note(id, '')}
