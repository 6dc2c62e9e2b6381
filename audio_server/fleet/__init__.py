"""The fleet: the visible state of all devices, their history, and the actions of an operator.

`interface` is the one `Fleet` that the rest of the server uses, wherever the devices live. `names`
are those that operators give to devices.

`inventory` is every device that was ever seen, in an `inventory_store`: `sightings` sums up their
events for it, and `expendable` decides which ones are given up.

A fleet asks `agents`: each has devices, of one process. `devices_here` is the agent of the process
itself, over `snapshot` and `change_tracker`, which see devices, `history` and `event_text`, which
keep their events, and `actions`. `workers` are those of other processes on the machine: an
`asked_agent` asks, and `agent_answers` answer. `own_fleet` is the `Fleet` over either; it merges
the answers (`merge`), and `broadcast` and `subscribers` serve pages and programs that follow it.

`of_nodes` is the `Fleet` over the own fleets of several nodes.
"""
