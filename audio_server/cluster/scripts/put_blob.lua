-- Write a part of a blob, or its size (s) once it has all parts. KEYS: the blob. ARGV: field, data, how
-- long it is kept that no document names. One that is whole stays as it is: a document may name it.
if redis.call('HEXISTS', KEYS[1], 's') == 1 then return {'whole'} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'done'}
