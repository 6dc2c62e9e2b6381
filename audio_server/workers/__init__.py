"""Processes that share one port, and keep the device contract as if they were one.

The supervisor's side: `supervisor` (all workers) and `process` (one of them, started again when it
dies). The worker's side: `worker` (the process), with `worker_config` and `sockets` from the
supervisor. What they share is the cluster's (`audio_server.cluster`).
"""
