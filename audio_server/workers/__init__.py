"""Processes that share one port, and keep the device contract as if they were one.

The supervisor's side, from the outside in: `supervisor` (all workers), `process` (one of them,
started again when it dies), `mailbox` (messages on their way to it), `directory` (the worker of
each device; the design is explained there). The worker's side: `worker` (the process), `ownership`
and `cache` (its knowledge of its devices), `uplink` (messages on their way to the supervisor),
`connection_ids` and `sockets` (its connections). `messages` are those between the two sides."""
