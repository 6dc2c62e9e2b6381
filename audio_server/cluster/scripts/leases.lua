-- Comes before each script of leases.
local NEWS = 'as:live'
local LEASE_MS = 3000     -- a node that was killed has it for so long; it is renewed once a second
local SETTLE_US = 5000000 -- for so long an older claim takes a new row over
