"""The resources of a decoder process: next to nothing.

All of it is set by the process itself, after its imports and before the first byte of a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from audio_server.clips.faults import Fault, Refused
from audio_server.clips.opus import RATE_HZ

MEMORY_MAX_BYTES: Final = 256 << 20
"""Beyond the program itself. Formats whose index is in memory need 4 MB for an hour."""

CPU_S: Final = 3.0
"""CPU time for a file before any sound has come of it."""

SOUND_S_PER_CPU_S: Final = 3.0
"""Then so much sound has to come of each second: a tenth of the speed of a small machine."""

_NICEST = 19


def limit_process(lifeline: int) -> None:
    """Give up the rights that decoding does not need; end when the other end of `lifeline` closes.

    Afterwards one more descriptor can be opened: that of the file.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICEST)
    _be_killed_first()
    _end_with(lifeline)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, 0)
    _set(resource.RLIMIT_NPROC, 0)
    _set(resource.RLIMIT_NOFILE, _next_descriptor() + 1)
    _set(resource.RLIMIT_AS, _size_bytes() + MEMORY_MAX_BYTES)


def _set(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _next_descriptor() -> int:
    number = os.dup(0)
    os.close(number)
    return number


def _size_bytes() -> int:
    """Size of the address space. Where the system does not tell, a generous guess."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 512 << 20
    return pages * resource.getpagesize()


def _be_killed_first() -> None:
    """Where memory runs short, the server is not the one that is ended."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _end_with(lifeline: int) -> None:
    """Have the system end this process when the server is gone: it closes its end by dying.

    Not by PR_SET_PDEATHSIG, which goes by the thread that started the process.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if not os.read(lifeline, 1):
            raise SystemExit


def limit_cpu(seconds: float) -> None:
    """Have the system end this process a second or two after so much CPU time: for work that never
    comes to `CpuBudget.check`."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(seconds) + 2
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


class CpuBudget:
    """CPU time for one file, which grows with the sound that comes of it."""

    def __init__(self, limit: Callable[[float], None]) -> None:
        """`limit` is called with each new limit, in seconds of this process."""
        self._limit = limit
        self._start_s = time.process_time()
        self._samples = 0
        self._limit_s = 0.0
        self._renew()

    def check(self, samples: int = 0) -> None:
        """Account for samples that were decoded. Raises `Refused` when the time is used up."""
        self._samples += samples
        if time.process_time() > self._limit_s:
            self._renew()
            if time.process_time() > self._limit_s:
                raise Refused(Fault.TIME)

    def _renew(self) -> None:
        """Allow as much as the sound so far does."""
        sound_s = self._samples / RATE_HZ
        self._limit_s = self._start_s + CPU_S + sound_s / SOUND_S_PER_CPU_S
        self._limit(self._limit_s)
