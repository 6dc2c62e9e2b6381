"""Resources of a process, under the names that all of Prometheus' libraries use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from audio_server.metrics.family import Reading, counter, gauge

_FAMILIES = (
    gauge("process_resident_memory_bytes", "Resident memory."),
    counter("process_cpu_seconds_total", "CPU time, user's and system's."),
    gauge("process_start_time_seconds", "Start of the process since the epoch."),
)


class Usage(NamedTuple):
    """The usage of one process, in the order of the families."""

    rss_bytes: float
    cpu_s: float
    started_s: float
    """Since the epoch."""


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def usage(pid: int) -> Usage | None:
    """Return the usage of a process; None for one that is gone, and on systems without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        booted_s = _booted_s()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # from field 3 of proc_pid_stat(5) on
    user, system, start, rss = (float(fields[number - 3]) for number in (14, 15, 22, 24))
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return Usage(
        rss_bytes=rss * os.sysconf("SC_PAGE_SIZE"),
        cpu_s=(user + system) / ticks_per_s,
        started_s=booted_s + start / ticks_per_s,
    )


def read_processes(pids: Mapping[str, int]) -> Iterator[Reading]:
    """Return the usage of processes, each by the name that is its label `worker`."""
    found = {name: used for name, pid in pids.items() if (used := usage(pid))}
    series = tuple((name,) for name in found)
    for number, family in enumerate(_FAMILIES if found else ()):
        labelled = replace(family, labels=("worker",), series=series)
        yield Reading(labelled, [used[number] for used in found.values()])


def _booted_s() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise OSError("the kernel does not say when it was started")
