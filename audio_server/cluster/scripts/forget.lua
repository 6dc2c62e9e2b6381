-- Forget a device: its history, name, tags and mode; its token stays. KEYS: its record. ARGV: whether the node
-- knows the device. One that is held by a node that lives is connected.
local node, held = unpack(redis.call('HMGET', 'as:d:' .. id, 'n', 'h'))
if node and held and tonumber(redis.call('ZSCORE', 'as:nodes', node) or '0') > clock() - 3000000 then
  return {'connected'}
end
if ARGV[1] == '0' and not is_known(id) then return {'gone'} end
redis.call('HDEL', row_of(id), 'l', 'g')
leave(id)
redis.call('DEL', 'as:d:' .. id, seen_row(id))
note_away(id, false)
return {'done', note(id, '1')}
