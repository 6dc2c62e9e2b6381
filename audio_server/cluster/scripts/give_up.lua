-- Give a device up that is away and has no record. KEYS: its row.
local id = string.sub(KEYS[1], 6)
if has_record(id) or redis.call('HEXISTS', KEYS[1], 'h') == 1 then return {'kept'} end
redis.call('DEL', KEYS[1])
note_away(id, false)
return {'done'}
