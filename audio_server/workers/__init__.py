"""Many processes that share one port, and keep the device contract as if they were one.

The supervisor's side, from the outside in: `supervisor` (all workers), `process` (one of them,
started again when it dies), `post` (news on their way to it), `registry` (what is known of the
devices; the design is explained there). The worker's side: `worker` (the process), `claims` and
`replica` (what it knows of its devices), `uplink` (news on their way to the supervisor),
`numbers` and `sockets` (its connections). `messages` is what the two sides say to each other.
"""
