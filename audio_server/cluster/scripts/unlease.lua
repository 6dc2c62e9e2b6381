-- Give a lease up. KEYS: the lease. ARGV: node. That of another node stays as it is.
if redis.call('HGET', KEYS[1], 'n') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', NEWS, cmsgpack.pack({'free', KEYS[1], ARGV[1]}))
end
return {}
