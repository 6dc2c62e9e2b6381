"""The fleet: the visible state of all devices, their history, and the actions of an operator.

`fleet` is the one `Fleet` that the rest of the server uses, wherever the devices live; `interface`
has the values that it gives. It asks `agents`, each of which has devices: `devices_here` is that of
the process itself, `workers` are those of a machine, and `of_nodes` are those of a cluster. Others
than the first are asked by an `asked_agent`, and answer by `agent_answers`.

`rows` and `labels` are the lists, names and tags of a fleet, `own_rows` those of one server.
`inventory` is every device that was ever seen, in an `inventory_store`: `sightings` sums up their
events for it, and `expendable` decides which ones are given up.

`snapshot` and `change_tracker` see devices, `history` and `event_text` keep their events, `actions`
act on them; `broadcast` and `subscribers` serve pages and programs that follow.
"""
