-- Show that a node lives. KEYS: the nodes. ARGV: node. Returns the clock, and how many nodes live.
local now = clock()
-- First: an engine that is full refuses this one alone, and no command after another write.
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - 3000000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], text(now + 3000000), '+inf') -- of a clock that was set back
return {text(now), redis.call('ZCARD', KEYS[1])}
