-- Show that a node has devices. KEYS: as:at. ARGV: node. Returns the clock, when the inventory began, and
-- nodes that have been silent for a minute: their devices are lost.
local now = clock()
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
local found = {text(now), redis.call('GET', BEGAN) or '0'}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now - 60000000), 'LIMIT', 0, 20)) do
  if not redis.call('ZSCORE', 'as:nodes', node) then table.insert(found, node) end
end
return found
