"""The state that the processes of a server share: which of them has a device, and its mode.

`interface` is the one `Cluster` that the rest of the server uses; a process that serves devices is
a node of it. `local` is the cluster of one machine, in memory and in the state file. `ownership`
has a node's calls claim their devices, over any cluster.
"""
