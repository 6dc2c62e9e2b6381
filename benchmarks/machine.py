"""The machine: which cores do what, how many sockets fit, and what the results say of it."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_MOST_LOAD_PROCESSES = 3
_PACKAGES = ("grpcio", "grpclib", "uvloop", "trio", "h2", "protobuf")


@dataclass(frozen=True)
class Cores:
    """Who runs where. `shared` says that load and server had to share cores."""

    server: tuple[int, ...]
    load: tuple[int, ...]
    shared: bool

    @classmethod
    def plan(cls, available: Sequence[int], workers: int = 1) -> Cores:
        """The first cores for the server, one a worker; the others, at most three, for the load."""
        server, rest = tuple(available[:workers]), tuple(available[workers:])
        load = rest[:_MOST_LOAD_PROCESSES] or tuple(available[:_MOST_LOAD_PROCESSES])
        return cls(server, load, shared=not rest)

    def __str__(self) -> str:
        shared = ", which they share" if self.shared else ""
        return f"server on {list(self.server)}, load on {list(self.load)}{shared}"


def available_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def raise_file_limit() -> int:
    """Let this process and its children open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe_machine() -> dict[str, object]:
    """What a reader needs to judge the figures."""
    return {
        "cpu": _cpu_name(),
        "cores": len(available_cores()),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
