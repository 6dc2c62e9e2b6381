-- Read the devices that are away, and marks, oldest first. KEYS: AWAY. ARGV: the version after which,
-- how many at most. Returns whether the node has missed no marks, and rows.
local after, horizon = tonumber(ARGV[1]), tonumber(redis.call('GET', HORIZON) or '0')
local last = tonumber(redis.call('GET', LAST) or '0')
local found = {(after > 0 and (after < horizon or after > last)) and '0' or '1'}
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #ids, 2 do
  local id, version = ids[at], text(tonumber(ids[at + 1]))
  local told = {id, version}
  for _, fact in ipairs(facts_of(id)) do table.insert(told, fact) end
  table.insert(found, cjson.encode(told))
end
return found
