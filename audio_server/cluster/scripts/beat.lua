-- Show that a node lives. KEYS: the nodes. ARGV: node. Returns the clock, and how many nodes live.
-- One that has been silent for 3 s does not; it is forgotten after a minute, until when the others
-- can tell that it is missing.
local now = clock()
-- First: an engine that is full refuses this one alone, and no command after another write.
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - 60000000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], text(now + 3000000), '+inf') -- of a clock that was set back
return {text(now), redis.call('ZCOUNT', KEYS[1], text(now - 3000000), '+inf')}
