"""What the operating system says a process tree has used (Linux, /proc)."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all its descendants that are alive."""
    pids = [pid]
    for each in pids:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                pids.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return pids


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process tree so far (in ticks of 10 ms)."""
    return sum(_cpu_ticks(each) for each in tree(pid)) * _TICK_S


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rss_kb(pid: int) -> float:
    """Resident memory of a process tree, in KB (1024 bytes)."""
    return sum(_rss_kb(each) for each in tree(pid))


def _rss_kb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmRSS:"))
    return sum(float(line[1]) for line in lines)
