"""The fleet: the visible state of all devices, their history, and the actions of an operator.

`interface` is the one `Fleet` that the rest of the server uses, wherever the devices live. `names`
are those that operators give to devices.

`inventory` is every device that was ever seen, in an `inventory_store`: `sightings` sums up their
events for it, which a `collector` asks other nodes for, and `expendable` decides which ones are
given up.

Devices of one process: `snapshot` and `change_tracker` see them, `history` and `event_text` keep
their events, `actions` act on them. `local` is a `Fleet` of all that; `broadcast` and `subscribers`
serve pages and programs that follow it.

Devices of any nodes: `anywhere` is the `Fleet` that asks each node through an `agent` and merges
the answers (`merge`); a node has its `answers`.
"""
