-- Write a record as a node remembers it, if the engine has lost that. KEYS: the record. ARGV: version,
-- name, tags, hash of the token, time of it. A newer version stays.
if tonumber(redis.call('ZSCORE', INDEX, id) or '0') >= tonumber(ARGV[1]) then return {'newer'} end
for number, field in ipairs({'l', 'g', 't', 'd'}) do put(id, field, ARGV[number + 1]) end
return {'done', note(id, '', tonumber(ARGV[1]))}
