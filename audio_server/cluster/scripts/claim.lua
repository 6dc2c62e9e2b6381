-- Have a device. KEYS: its row. ARGV: node, microseconds for which the call has waited, the engine's
-- time as the node estimates it, and what the node knows of the device: epoch (0: nothing), mode,
-- whether it is connected.
-- Fields of a row: e epoch, n node, a arrival of the newest call, h held while connected, m mode.
-- A claim that is repeated after a lost answer is granted in the same epoch.
local now = clock()
local arrived = sent_at(now, ARGV[3]) - tonumber(ARGV[2])
local e, node, newest, held, mode = unpack(redis.call('HMGET', KEYS[1], 'e', 'n', 'a', 'h', 'm'))
e, newest = tonumber(e or '0'), tonumber(newest or '0')
if e < tonumber(ARGV[4]) then -- the engine has lost the row, or its newest state
  e, node, mode, held = tonumber(ARGV[4]), ARGV[1], ARGV[5], ARGV[6] == '1'
  redis.call('HSET', KEYS[1], 'm', mode)
end
-- A clock that was set back is behind the newest call: then the call that is claimed last is newer.
local is_behind = newest > now
if node and node ~= ARGV[1] and arrived < newest and not is_behind then
  return {'superseded', text(e)}
end
if is_behind or arrived > newest then newest = arrived end
if not (held and node == ARGV[1]) then e = math.max(newest, e + 1) end
redis.call('HSET', KEYS[1], 'e', text(e), 'n', ARGV[1], 'a', text(newest), 'h', '1')
redis.call('PEXPIRE', KEYS[1], AWAY_MS)
if node and node ~= ARGV[1] then
  redis.call('PUBLISH', 'as:n:' .. node, 'moved ' .. text(e) .. ' ' .. string.sub(KEYS[1], 6))
end
return {'granted', text(e), mode or '0'}
