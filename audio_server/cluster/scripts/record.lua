-- Comes before each script that changes a record, after the clock. A record is a hash, as:r:ID, with
-- l name, g tags with spaces between, t hash of the token, d when that was given. Each change has a
-- version, larger than all before. INDEX has the newest version of each record, also of those that
-- became blank in the last week, which are in BLANK too.
local INDEX, BLANK, LAST, NEWS = 'as:records', 'as:records:blank', 'as:records:last', 'as:records'
local WEEK = 604800000000

local function row_of(id)
  return 'as:r:' .. id
end

local function is_known(id)
  return redis.call('EXISTS', row_of(id), 'as:d:' .. id, 'as:s:' .. id) > 0
end

-- Return a record as nodes read it; `flag` is '1' for a device that is forgotten.
local function told(id, version, flag)
  local row = redis.call('HMGET', row_of(id), 'l', 'g', 't', 'd')
  return cjson.encode({id, version, row[1] or '', row[2] or '', row[3] or '', row[4] or '', flag})
end

-- Write a field; an empty one takes no room.
local function put(id, field, value)
  if value == '' then
    redis.call('HDEL', row_of(id), field)
  else
    redis.call('HSET', row_of(id), field, value)
  end
end

-- Note that a record has changed, now or in that version, and tell all nodes of it.
local function note(id, flag, version)
  local last = tonumber(redis.call('GET', LAST) or '0')
  version = version or math.max(clock(), last + 1)
  if version > last then redis.call('SET', LAST, text(version)) end
  redis.call('ZADD', INDEX, text(version), id)
  if redis.call('EXISTS', row_of(id)) == 1 then
    redis.call('ZREM', BLANK, id)
  else
    redis.call('ZADD', BLANK, text(version), id)
    local old = redis.call('ZRANGEBYSCORE', BLANK, '-inf', text(version - WEEK), 'LIMIT', 0, 100)
    for _, one in ipairs(old) do
      redis.call('ZREM', INDEX, one)
      redis.call('ZREM', BLANK, one)
    end
  end
  local news = told(id, text(version), flag)
  redis.call('PUBLISH', NEWS, news)
  return news
end

local id = string.sub(KEYS[1], 6)
