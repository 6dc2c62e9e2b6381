-- Let a device go. KEYS: the row. ARGV: node. Another node's row stays as it is.
local node, mode = unpack(redis.call('HMGET', KEYS[1], 'n', 'm'))
if node == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'h')
  if (mode or '0') == '0' then redis.call('PEXPIRE', KEYS[1], HOME_MS) end
end
return {'released'}
