"""The number of processes that share the port."""

from __future__ import annotations

import os

from audio_server.settings.values import WORKERS_MAX, Workers


def worker_count(workers: Workers) -> int:
    """Return `workers` as a number: auto is one for each core that this process may use."""
    if workers == "auto":
        return min(_usable_cores(), WORKERS_MAX)
    return workers


def _usable_cores() -> int:
    """Return the cores that the scheduler may use; more than the quota of a container allows."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
