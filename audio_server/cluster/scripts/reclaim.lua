-- Have again, or at least keep the mode of, a device that a node had while it could not ask.
-- KEYS: the row. ARGV: node, the engine's time as the node estimates it, epoch (0: none, it was never
-- granted), mode, whether it is connected, microseconds since a call of it was let in without asking
-- (-1: none was), and since its mode was last changed (-1: it was not).
local now = clock()
local sent = sent_at(now, ARGV[2])
local epoch, is_here = tonumber(ARGV[3]), ARGV[5] == '1'
local waited, pressed = tonumber(ARGV[6]), tonumber(ARGV[7])
local e, node, newest, mode = unpack(redis.call('HMGET', KEYS[1], 'e', 'n', 'a', 'm'))
e, newest = tonumber(e or '0'), tonumber(newest or '0')
local arrived = sent - waited
mode = mode or '0'

local function write()
  redis.call('HSET', KEYS[1], 'e', text(epoch), 'n', ARGV[1], 'a', text(newest), 'm', mode)
  if is_here then redis.call('HSET', KEYS[1], 'h', '1') else redis.call('HDEL', KEYS[1], 'h') end
  redis.call('PEXPIRE', KEYS[1], (is_here or mode ~= '0') and AWAY_MS or HOME_MS)
  return {'held', text(epoch), mode}
end

if epoch > 0 and e <= epoch then
  if waited >= 0 then newest = math.max(newest, arrived) end
  mode = ARGV[4]
  return write()
end
-- It was elsewhere, or granted here without a known answer: the newer call counts, and the newer mode.
local is_newer = waited >= 0 and (arrived >= newest or newest > now or node == ARGV[1])
if not is_newer then return {'moved', text(e)} end
if pressed >= 0 and (sent - pressed > newest or newest > now) then mode = ARGV[4] end
newest = arrived
epoch = math.max(arrived, e + 1)
if node and node ~= ARGV[1] then
  redis.call('PUBLISH', 'as:n:' .. node, 'moved ' .. text(epoch) .. ' ' .. string.sub(KEYS[1], 6))
end
return write()
