"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import resource
from contextlib import suppress

import structlog

_ENOUGH = 1 << 20
"""Some systems refuse "infinity", and some tools go through all that could be open."""

_BESIDES = 128
"""Files that are no devices: listeners, pages, state, log."""

log = structlog.get_logger()


def most_connections() -> int:
    """Return how many connections this process has files for, beside all others that it opens."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (_ENOUGH if soft == resource.RLIM_INFINITY else soft) - _BESIDES)


def allow_devices(max_devices: int) -> None:
    """Have as many files open as this process may, here and in its children.

    A login shell or a service manager often allows 1,024 at first. Where there will be too few
    for `max_devices` in one process, a warning says so.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # then it stays as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft != resource.RLIM_INFINITY and soft < max_devices + _BESIDES:
        log.warning("fewer open files than devices", open_files=soft, max_devices=max_devices)
