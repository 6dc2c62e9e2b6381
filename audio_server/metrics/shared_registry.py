"""The numbers of a server: a row for each of its processes, in memory that they share.

Workers write to rows of their own, so nothing is sent and nothing waits, and the last numbers of a
worker that has hung stay visible. A worker that is started again counts on from the numbers of the
one before it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata

from audio_server.metrics import families as of
from audio_server.metrics.family import Family, Reading
from audio_server.metrics.metrics import Metrics
from audio_server.metrics.process import is_alive, read_processes

_ROW_BYTES = 8 * of.SIZE


class SharedRegistry:
    """The rows of a process and of its workers, which are numbered from 1.

    With `fd` the memory is that of a file, which other processes may have too; it is made as
    large as it must be. Does not close the file.
    """

    def __init__(self, workers: int = 0, fd: int = -1) -> None:
        size = _ROW_BYTES * (1 + workers)
        if fd >= 0 and os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)
        numbers = memoryview(mmap.mmap(fd, size)).cast("d")
        self._rows = [numbers[n * of.SIZE : (n + 1) * of.SIZE] for n in range(1 + workers)]

    def row(self, number: int = 0) -> Metrics:
        """Return the counters of this process; row 0 is that of a process without a number."""
        return Metrics(self._rows[number])

    def beats(self, number: int) -> float:
        """Return a count that the loop of a worker keeps raising."""
        return self._rows[number][of.BEATS_AT]

    def devices(self) -> tuple[int, int, int]:
        """Return how many devices are connected, how many of them play, and how many cannot, in all
        processes."""
        places = [of.start_of(family) for family in (of.DEVICES, of.PLAYING, of.FAILING)]
        alive = [row for row in self._rows if is_alive(int(row[of.PID_AT]))]
        connected, playing, failing = (int(sum(row[at] for row in alive)) for at in places)
        return connected, playing, failing

    def text(self, more: Callable[[], Iterable[Reading]] = tuple) -> str:
        """All of it, for Prometheus, with more that only this process knows."""
        from audio_server.metrics.text import render  # a library that only the pages need

        return render((*self._readings(), *more()))

    def _readings(self) -> Iterator[Reading]:
        yield _info()
        pids = {n: int(row[of.PID_AT]) for n, row in enumerate(self._rows)}
        alive = [n for n, pid in pids.items() if is_alive(pid)]
        for family in of.FAMILIES:
            rows = alive if family.kind == "gauge" else list(pids)
            start = of.start_of(family)
            columns = range(start, start + family.size)
            yield Reading(family, [sum(self._rows[n][at] for n in rows) for at in columns])
        yield from read_processes({str(n): pids[n] for n in alive})


@cache
def _info() -> Reading:
    version = metadata.version("streaming-audio-server")
    name, text = "audio_server_build_info", "1, for the version."
    return Reading(Family(name, "gauge", text, ("version",), ((version,),)), [1.0])
