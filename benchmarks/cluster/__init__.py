"""A cluster under faults: devices that move, nodes and engines that are killed, a node that drains.

Tests run the scenarios with few devices, `python -m benchmarks.cluster` with all that
docs/performance.md tells of. Nodes and the engine are processes of their own; the devices, and a
proxy at layer 4 between them and the nodes, are in this one.
"""
