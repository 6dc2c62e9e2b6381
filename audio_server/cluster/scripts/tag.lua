-- Give a device tags and take others away. KEYS: its record. ARGV: tags to give and tags to take, with
-- spaces between; how many a device may have; whether the node knows the device.
if ARGV[4] == '0' and not is_known(id) then return {'gone'} end
local before, tags, sorted = redis.call('HGET', row_of(id), 'g') or '', {}, {}
for tag in string.gmatch(before .. ' ' .. ARGV[1], '%S+') do tags[tag] = true end
for tag in string.gmatch(ARGV[2], '%S+') do tags[tag] = nil end
for tag in pairs(tags) do table.insert(sorted, tag) end
if #sorted > tonumber(ARGV[3]) then return {'full'} end
table.sort(sorted)
local after = table.concat(sorted, ' ')
if after == before then return {'done'} end
put(id, 'g', after)
return {'done', note(id, '')}
