"""The servers that a user could pick instead, written as their documentation teaches.

Each does what the benchmark measures and no more: LEDs at connect and after each press that
changes them, an ack for each press at once, sound in real time after a lead, Stop. Each is
a process of its own: `python -m benchmarks.peers.NAME`, which prints its port when it is ready.
"""
