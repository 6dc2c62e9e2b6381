"""The benchmark: our server and its peers under the same devices, in one run.

`python -m benchmarks --help` tells how it is run. Each server has a process of its own, on one
core; the load side (`load.py`) is made of raw frames in processes on the other cores.
"""
