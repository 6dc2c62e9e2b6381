-- Put a new version of a document. KEYS: the document. ARGV: the version before it, the data, and the
-- blobs that it names, with spaces between; those that are missing are returned, and nothing is put.
-- Fields of a document: v version, d data, b blobs. A blob is whole once it has its size, s.
local FORGOTTEN_MS = 600000 -- how long a blob that is no longer named may still be read
local version, before = unpack(redis.call('HMGET', KEYS[1], 'v', 'b'))
version = tonumber(version or '0')
if version ~= tonumber(ARGV[1]) then return {'conflict', text(version)} end
local named, missing = {}, {'missing'}
for sha in string.gmatch(ARGV[3], '%S+') do
  if redis.call('HEXISTS', 'as:b:' .. sha, 's') == 0 then table.insert(missing, sha) end
  named[sha] = true
end
if #missing > 1 then return missing end
version = version + 1
redis.call('HSET', KEYS[1], 'v', text(version), 'd', ARGV[2], 'b', ARGV[3])
for sha in pairs(named) do redis.call('PERSIST', 'as:b:' .. sha) end
for _, other in ipairs({'clips', 'groups'}) do -- a blob may be named by several documents
  local key = 'as:p:' .. other
  local theirs = key ~= KEYS[1] and redis.call('HGET', key, 'b')
  for sha in string.gmatch(theirs or '', '%S+') do named[sha] = true end
end
for sha in string.gmatch(before or '', '%S+') do
  if not named[sha] then redis.call('PEXPIRE', 'as:b:' .. sha, FORGOTTEN_MS) end
end
redis.call('PUBLISH', 'as:documents', string.sub(KEYS[1], 6))
return {'done', text(version)}
