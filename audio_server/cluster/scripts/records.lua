-- Read the records that changed after a version, oldest first. KEYS: the index. ARGV: version, how many
-- at most, and the last change that the node has heard of: id and version. Returns whether the engine
-- has that one too, and the records.
local found = {'1'}
if ARGV[3] ~= '' and tonumber(redis.call('ZSCORE', INDEX, ARGV[3]) or '0') < tonumber(ARGV[4]) then
  found[1] = '0'
end
local after = '(' .. ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', INDEX, after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #ids, 2 do table.insert(found, told(ids[at], text(tonumber(ids[at + 1])), '')) end
return found
