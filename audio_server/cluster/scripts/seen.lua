-- Comes before each script of the inventory, after the clock. A row, as:s:ID, has the facts of a device
-- that was ever seen: f first and l last time, n name of the node, a address, c connections, t takes,
-- e errors, m mode, k LEDs, w firmware, q the last sighting that was counted; and h the node that it is
-- connected to. AWAY has the version of each row of a device that is away, and of marks: devices that
-- were in it and came back, or were forgotten or given up. Marks are in MARKS too, for a week, and no
-- more than MARKS_MAX: a node that has read nothing since HORIZON has missed some.
local AWAY, MARKS, LAST, BEGAN = 'as:away', 'as:away:marks', 'as:away:last', 'as:away:began'
local HORIZON = 'as:away:horizon'
local MARKS_WEEK, MARKS_MAX = 604800000000, 100000

local function seen_row(id)
  return 'as:s:' .. id
end

local function has_record(id)
  return redis.call('EXISTS', 'as:r:' .. id) == 1
end

local function is_listed(id)
  return redis.call('ZSCORE', AWAY, id) and not redis.call('ZSCORE', MARKS, id)
end

local function listed_count()
  return redis.call('ZCARD', AWAY) - redis.call('ZCARD', MARKS)
end

local function drop_marks(ids, scores)
  for number, one in ipairs(ids) do
    redis.call('ZREM', AWAY, one)
    redis.call('ZREM', MARKS, one)
    redis.call('SET', HORIZON, scores[number])
  end
end

local function oldest_marks(count)
  local found, ids, scores = redis.call('ZRANGE', MARKS, 0, count - 1, 'WITHSCORES'), {}, {}
  for at = 1, #found, 2 do
    table.insert(ids, found[at])
    table.insert(scores, text(tonumber(found[at + 1])))
  end
  return ids, scores
end

-- Note that a device is away, or that its facts have changed, or that it is away no more.
local function note_away(id, is_away)
  local version = math.max(clock(), tonumber(redis.call('GET', LAST) or '0') + 1)
  redis.call('SET', LAST, text(version))
  redis.call('SETNX', BEGAN, text(version))
  redis.call('ZADD', AWAY, text(version), id)
  if is_away then
    redis.call('ZREM', MARKS, id)
    return
  end
  redis.call('ZADD', MARKS, text(version), id)
  local ids, scores = oldest_marks(10)
  local is_full = redis.call('ZCARD', MARKS) > MARKS_MAX
  while #ids > 0 and not is_full and tonumber(scores[#ids]) > version - MARKS_WEEK do
    table.remove(ids)
  end
  drop_marks(ids, scores)
end

-- Return the facts of a device, in the order of FACTS, or the word `here` for one that is connected, or
-- nothing where there are none.
local FACTS = {'f', 'l', 'n', 'a', 'c', 't', 'e', 'm', 'k', 'w'}
local function facts_of(id)
  local row, told = redis.call('HMGET', seen_row(id), 'h', unpack(FACTS)), {}
  if row[1] then return {'here'} end
  if row[2] then
    for number = 1, #FACTS do table.insert(told, row[number + 1] or '') end
  end
  return told
end

-- Have a device be at no node.
local function leave(id)
  local node = redis.call('HGET', seen_row(id), 'h')
  if node then
    redis.call('HDEL', seen_row(id), 'h')
    redis.call('SREM', 'as:at:' .. node, id)
  end
end
