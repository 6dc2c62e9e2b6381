-- Add the sighting of a device. KEYS: its row. ARGV: node, its name, when the device was seen, whether it
-- is connected to the node, address, connections, takes and errors since the last sighting, mode, LEDs,
-- firmware, how many devices may be away, and what stands for the sighting: one that is repeated after
-- a lost answer counts once.
local id = string.sub(KEYS[1], 6)
local node, is_here = ARGV[1], ARGV[4] == '1'
local now = clock()
local seen_at = math.min(now, tonumber(ARGV[3]))
local first, last, held, counted = unpack(redis.call('HMGET', KEYS[1], 'f', 'l', 'h', 'q'))
if last and tonumber(last) > now then last = nil end -- of a clock that was set back since
if is_here and redis.call('HGET', 'as:d:' .. id, 'n') ~= node then return {'later'} end
if not first then
  local forgotten_at = tonumber(redis.call('ZSCORE', AWAY, id) or '0')
  -- One that is connected was claimed since: `forget` drops the row that a claim makes.
  if not is_here and (seen_at <= forgotten_at or ARGV[6] == '0') then return {'forgotten'} end
  if not is_here and listed_count() >= 2 * tonumber(ARGV[12]) and not has_record(id) then
    return {'full'}
  end
  redis.call('HSET', KEYS[1], 'f', text(seen_at))
end
if counted ~= ARGV[13] then
  redis.call('HSET', KEYS[1], 'q', ARGV[13])
  for number, field in ipairs({'c', 't', 'e'}) do
    if ARGV[5 + number] ~= '0' then redis.call('HINCRBY', KEYS[1], field, ARGV[5 + number]) end
  end
end
if not last or seen_at >= tonumber(last) then
  redis.call('HSET', KEYS[1], 'l', text(seen_at), 'n', ARGV[2], 'm', ARGV[9])
  for field, value in pairs({a = ARGV[5], k = ARGV[10], w = ARGV[11]}) do
    if value ~= '' then redis.call('HSET', KEYS[1], field, value) end
  end
end
if is_here and held ~= node then
  leave(id)
  redis.call('HSET', KEYS[1], 'h', node)
  redis.call('SADD', 'as:at:' .. node, id)
elseif not is_here and held == node then
  leave(id)
end
if redis.call('HEXISTS', KEYS[1], 'h') == 0 then
  note_away(id, true)
elseif is_listed(id) or (not first and has_record(id)) then
  note_away(id, false)
end
local over = math.max(0, listed_count() - tonumber(ARGV[12]))
local totals = redis.call('HMGET', KEYS[1], 'f', 'c', 't', 'e')
local told = {'seen', text(over), totals[1], totals[2] or '0', totals[3] or '0', totals[4] or '0'}
for _, fact in ipairs(facts_of(id)) do table.insert(told, fact) end
return told
