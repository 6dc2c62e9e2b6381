-- Write a record as another server had it. KEYS: the record. ARGV: name, tags, hash of the token, time
-- of it; an empty one says nothing.
for number, field in ipairs({'l', 'g', 't', 'd'}) do
  if ARGV[number] ~= '' then put(id, field, ARGV[number]) end
end
return {'done', note(id, '')}
