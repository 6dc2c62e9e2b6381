"""What the operating system says a process tree has used (Linux, /proc)."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

_CPUCLOCK_SCHED = 2


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
    """CPU seconds, user and system, of a process tree so far.

    From each process's CPU clock (`clock_getcpuclockid(3)`), which counts what `utime` and
    `stime` of /proc count, in nanoseconds instead of ticks of 10 ms.
    """
    return sum(_cpu_s(each) for each in tree(pid))


def _cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def waited_s(pid: int) -> float:
    """Seconds that threads of a process tree could have run but others had their core.

    0 where the kernel keeps no such figures (`CONFIG_SCHED_INFO`).
    """
    return sum(_waited_ns(each) for each in tree(pid)) / 1e9


def _waited_ns(pid: int) -> int:
    waited = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            waited += int(task.read_text().split()[1])
    return waited


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
