"""The state that the processes of a server share: which of them has a device, its mode, the clips.

`interface` is the one `Cluster` that the rest of the server uses; a process that serves devices is
a node of it. `local` is the cluster of one machine, in memory and in the state file; `socket` asks
that of another process, which has a `served` node for it, in `frames`; `valkey` is the cluster of
several machines, on an `engine` that a `link` leads to; each `part` shares its sessions.
`questions` are those to a node of one machine; `peers` are the other nodes of an engine, which
`engine_nodes` asks. `ownership` has a node's calls claim their devices, `clip_list` has all nodes
play the same clips, over any cluster.
"""
