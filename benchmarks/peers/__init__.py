"""The servers that a user could pick instead, written as their documentation teaches, and two that
send in bursts, which is the best that a user could write.

Each does what the benchmark measures and no more: LEDs at connect and after each press that
changes them, an ack for each press at once, sound in real time after a lead, Stop. Each is
a process of its own, `python -m benchmarks.peers.NAME` or the one that is built from `go/`, which
prints its port when it is ready.
"""
