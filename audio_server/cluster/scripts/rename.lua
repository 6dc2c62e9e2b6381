-- Give a device a name. KEYS: its record. ARGV: name (empty: none), whether the node knows the device.
if ARGV[2] == '0' and not is_known(id) then return {'gone'} end
put(id, 'l', ARGV[1])
return {'done', note(id, '')}
