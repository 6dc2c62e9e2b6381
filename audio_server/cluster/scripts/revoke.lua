-- Take a device's token away. KEYS: its record. The epoch of the node that has the device is over, so
-- that it ends the device's calls even if it never hears of the token.
if redis.call('HDEL', row_of(id), 't', 'd') == 0 then return {'gone'} end
local news = note(id, '')
local e, node = unpack(redis.call('HMGET', 'as:d:' .. id, 'e', 'n'))
if e and node then
  e = math.max(clock(), tonumber(e) + 1)
  redis.call('HSET', 'as:d:' .. id, 'e', text(e), 'n', '-')
  redis.call('HDEL', 'as:d:' .. id, 'h')
  redis.call('PUBLISH', 'as:n:' .. node, 'moved ' .. text(e) .. ' ' .. id)
end
return {'done', news}
