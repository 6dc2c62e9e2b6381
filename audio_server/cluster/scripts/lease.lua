-- Have a lease, or go on having it. KEYS: the lease. ARGV: node, its name, for how long it has
-- wanted the lease without a break (us). Returns the node that has it, and its name; nothing where
-- the engine is full. A row that is new goes to the node that has wanted it for longest: after an
-- outage nodes come back in any order.
local now = clock()
local since = now - tonumber(ARGV[3])
local node, name, wanted, begun = unpack(redis.call('HMGET', KEYS[1], 'n', 'l', 's', 't'))
if node == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], LEASE_MS)
  return {node, name}
end
local age = node and now - tonumber(begun) -- below 0 where the clock was set back
if node and not (since < tonumber(wanted) and age >= 0 and age < SETTLE_US) then
  return {node, name}
end
local row = {'n', ARGV[1], 'l', ARGV[2], 's', text(since), 't', text(now)}
if type(redis.pcall('HSET', KEYS[1], unpack(row))) == 'table' then return {} end
redis.call('PEXPIRE', KEYS[1], LEASE_MS)
redis.call('PUBLISH', NEWS, cmsgpack.pack({'held', KEYS[1], ARGV[1], ARGV[2]}))
return {ARGV[1], ARGV[2]}
