"""A part of a core for each process of a server, by the kernel's own means (Linux, cgroups).

Four workers with a core each need more cores for the load that they can bear. With a fifth of a
core each they are held to the same account, and there is room for the load beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.servers import ServerFailed

PERIOD_US = 10_000
"""How often a share is given out anew. Short, so that a process that has used its own up waits
for less than a packet; the kernel gives a tenth of it at least."""

_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")


def cpu_groups() -> Path:
    """Where groups of processes get their parts of cores."""
    return _V1 if (_V1 / "cgroup.procs").exists() else _V2


@contextmanager
def limited(pids: Sequence[int], share: float, groups: Path | None = None) -> Iterator[None]:
    """Hold each process to `share` of a core for as long as the block; 0 holds nobody to anything.

    Raises `ServerFailed` where the kernel or our rights do not allow it.
    """
    with ExitStack() as held:
        for pid in pids if share else ():
            held.enter_context(_group(groups or cpu_groups(), pid, share))
        yield


@contextmanager
def _group(root: Path, pid: int, share: float) -> Iterator[None]:
    group = root / f"bench-{pid}"
    try:
        group.mkdir()
        _set_share(group, share, v1=root == _V1)
        (group / "cgroup.procs").write_text(f"{pid}")
    except OSError as error:
        raise ServerFailed(f"no share of a core can be set: {group}: {error.strerror}") from error
    try:
        yield
    finally:
        _dissolve(group, root)


def _set_share(group: Path, share: float, *, v1: bool) -> None:
    quota_us = round(PERIOD_US * share)
    if v1:
        (group / "cpu.cfs_period_us").write_text(f"{PERIOD_US}")
        (group / "cpu.cfs_quota_us").write_text(f"{quota_us}")
    else:
        (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")


def _dissolve(group: Path, root: Path) -> None:
    """Give what is in a group back to the root, for a group that is not empty cannot go."""
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (root / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue
    group.rmdir()
