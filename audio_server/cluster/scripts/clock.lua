-- Comes before each other script: the engine's clock in microseconds, the only one that orders calls.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

local function text(number)
  return string.format('%.0f', number)
end

-- When a command was sent: now, unless it has waited in a socket, or for the engine, for longer than
-- a node may be wrong about the clock. Then the node's estimate counts: a call that was claimed long
-- ago must not pass for a new one.
local SLACK_US = 20000
local function sent_at(now, estimate)
  return math.min(now, tonumber(estimate) + SLACK_US)
end

local AWAY_MS = 7776000000 -- 90 days: a node that was killed leaves no row for ever
local HOME_MS = 600000     -- 10 minutes: a device at home is as one that was never seen
