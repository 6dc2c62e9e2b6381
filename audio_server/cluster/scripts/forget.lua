-- Forget a device: its name, tags and mode; its token stays. KEYS: its record. ARGV: whether the node
-- knows the device.
if redis.call('HGET', 'as:d:' .. id, 'h') then return {'connected'} end
if ARGV[1] == '0' and not is_known(id) then return {'gone'} end
redis.call('HDEL', row_of(id), 'l', 'g')
redis.call('DEL', 'as:d:' .. id)
return {'done', note(id, '1')}
