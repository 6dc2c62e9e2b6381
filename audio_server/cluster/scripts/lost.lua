-- Have some devices of a node that is gone be away. KEYS: as:at. ARGV: the node, how many. Returns how
-- many were taken; the other nodes may take others at the same time.
local alive_at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not alive_at or redis.call('ZSCORE', 'as:nodes', ARGV[1]) then return {'0'} end
local ids = redis.call('SPOP', 'as:at:' .. ARGV[1], ARGV[2])
for _, id in ipairs(ids) do
  local last, held = unpack(redis.call('HMGET', seen_row(id), 'l', 'h'))
  if held == ARGV[1] then
    redis.call('HDEL', seen_row(id), 'h')
    if tonumber(last) < tonumber(alive_at) then
      redis.call('HSET', seen_row(id), 'l', text(tonumber(alive_at)))
    end
    note_away(id, true)
  end
end
if #ids == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end
return {text(#ids)}
