-- Write the facts of a device as a node or another server has them. KEYS: its row. ARGV: first and last
-- time, name of the node, address, connections, takes, errors, mode, LEDs, firmware, how many devices may
-- be away, and how: `new` writes no facts over others, `known` writes none of a device that is not there,
-- and `over` merges them: the larger counts, the newer rest.
local id = string.sub(KEYS[1], 6)
local old = redis.call('HMGET', KEYS[1], 'f', 'l', 'c', 't', 'e')
if ARGV[12] ~= 'over' then
  if old[1] then return {'there'} end
  if ARGV[12] == 'known' or redis.call('ZSCORE', AWAY, id) then return {'forgotten'} end
end
if not old[1] and listed_count() >= tonumber(ARGV[11]) and not has_record(id) then return {'full'} end
if not old[1] or tonumber(ARGV[1]) < tonumber(old[1]) then redis.call('HSET', KEYS[1], 'f', ARGV[1]) end
for number, field in ipairs({'c', 't', 'e'}) do
  local count = math.max(tonumber(old[2 + number] or '0'), tonumber(ARGV[4 + number]))
  redis.call('HSET', KEYS[1], field, text(count))
end
if not old[2] or tonumber(ARGV[2]) >= tonumber(old[2]) then
  redis.call('HSET', KEYS[1], 'l', ARGV[2], 'm', ARGV[8])
  for field, value in pairs({n = ARGV[3], a = ARGV[4], k = ARGV[9], w = ARGV[10]}) do
    if value ~= '' then redis.call('HSET', KEYS[1], field, value) end
  end
end
if redis.call('HEXISTS', KEYS[1], 'h') == 0 then note_away(id, true) end
return {'done'}
