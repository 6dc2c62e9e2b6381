"""The policy of garbage collection: never at a time at which it would be heard.

Memory is freed by reference counts. The rule for every module, and for every library at its edge:
**a connection that has ended leaves no reference cycle** (`rpc.connection`, `rpc.io.tls`,
`web.connections`, `process.socket_errors`; `tests/faults/test_freed_connections.py` proves it for
each kind of connection). Collections are the net for cycles that are not known yet.

- **Young objects** are collected each half second, and by the interpreter when there are 2,000
  more of them than before: a few milliseconds at most. Where old ones give way to new ones as fast,
  the interpreter alone would wait for tens of thousands, in the midst of a storm of presses.
- **A full collection** looks at every object, hundreds of a device's. Measured: 0.25 to 0.6 us for
  each block of memory, 10 to 23 ms at 100 devices, 150 to 175 ms at 900. The interpreter would run
  one whenever the heap has grown by a quarter, that is while devices connect; here it never does.
  One runs a minute after the last, if it is expected to be short enough for the present load
  (`Pauses`). The expectation is the number of allocated blocks, which takes 0.1 ms to count, times
  the cost of a block. So a server with few devices has one each minute, and one with hundreds or
  thousands when nothing plays.
- **The last resort**: where resident memory that tasks do not account for has more than doubled
  since the last full collection, one runs during playback too. It may make a packet late, where the
  alternative is a process that is killed for its memory.
- **Freed memory** goes back to the system each second (`process.heap`): the C library would
  keep that of the largest crowd of connections that there ever was.
- Objects that are there when the server is ready, mostly modules, are frozen: no collection looks
  at them again.

Left out: the middle generation, which would free cycles that live for seconds but not those that
live longer, and looks once more at all objects of the devices; and freezing survivors later on,
which hides their cycles for good.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

import structlog
import trio

from audio_server.process.heap import trim_heap
from audio_server.process.huge_pages import keep_huge_pages
from audio_server.process.socket_errors import translate_without_cycles

EVERY_S = 0.5
FULL_EVERY_S = 60.0
"""Between two full collections, at least: a few hundredths of a percent of a core."""

TRIM_EVERY_S = 1.0

_TRIM_SHARE = 0.001
"""Of the time."""

_YOUNG_OBJECTS = 2_000
_NEVER = 1_000_000_000

_BLOCK_S = 0.6e-6
"""The least cost of a block: a small heap that is in the cache predicts nothing of a large one."""

_MARGIN = 1.5
"""A slower machine is expected to take as long for each block as the last time, times this."""

_NOTABLE = 1_000
"""Objects in cycles that are worth a line: some edge leaves them."""

_TASK_BYTES = 16 * 1024
"""Memory that a task accounts for: a device with six of them takes less than 50 KB."""

_SLACK_BYTES = 256 * 1024 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a full collection may stop the loop, in seconds."""

    playing_s: float = 0.03
    """While anything plays: a device has 60 ms of sound in hand when its refill comes."""

    quiet_s: float = 0.25
    """While nothing plays: a press is acknowledged that much later."""

    overdue_s: float = 1.0
    """The same when there was none for an hour."""

    overdue_after_s: float = 3600.0

    def allowed_s(self, *, playing: bool, since_s: float) -> float:
        """Return the longest pause that may be, `since_s` after the last one."""
        if playing:
            return self.playing_s
        return self.overdue_s if since_s >= self.overdue_after_s else self.quiet_s


def pauses_for(lead_s: float) -> Pauses:
    """Return the pauses that devices do not hear which are sent sound `lead_s` ahead."""
    return Pauses(playing_s=min(Pauses().playing_s, lead_s / 10))


def spare_old_objects() -> None:
    """From now on collect young objects only, in the whole process, unless a collector runs."""
    gc.set_threshold(_YOUNG_OBJECTS, _NEVER, _NEVER)


class Meter(Protocol):
    """The process as a collector sees and steers it."""

    def playing(self) -> float:
        """Return how many devices play."""
        ...

    def collected(self, pause_s: float) -> None:
        """A full collection has stopped the loop for so long."""
        ...


class Collector:
    """Collects the garbage of this process; `run` does so for as long as the server serves."""

    def __init__(self, meter: Meter, pauses: Callable[[], Pauses]) -> None:
        self._meter = meter
        self._pauses = pauses
        self._block_s = _BLOCK_S
        self._frozen_blocks = 0
        self._last_s = 0.0
        self._last_bytes = 0
        self._trim_at_s = 0.0

    def freeze(self) -> None:
        """Collect once, and exclude the present objects from later collections."""
        gc.collect()
        gc.freeze()
        self._frozen_blocks = sys.getallocatedblocks()
        self._last_s = trio.current_time()
        self._last_bytes = unexplained_bytes()

    async def run(self) -> NoReturn:
        """Collect until cancelled. Stops the loop for no longer than `Pauses` allows."""
        while True:
            await trio.sleep(EVERY_S)
            gc.collect(0)
            self._collect_if_due()
            self._trim_if_due()

    def _trim_if_due(self) -> None:
        """Give freed memory back; the longer that takes, the rarer."""
        if trio.current_time() >= self._trim_at_s:
            began_s = time.perf_counter()
            trim_heap()
            took_s = time.perf_counter() - began_s
            self._trim_at_s = trio.current_time() + max(TRIM_EVERY_S, took_s / _TRIM_SHARE)

    def _collect_if_due(self) -> None:
        since_s = trio.current_time() - self._last_s
        if since_s < FULL_EVERY_S:
            return
        allowed_s = self._pauses().allowed_s(playing=self._meter.playing() > 0, since_s=since_s)
        if self.expected_s() <= allowed_s:
            self._collect()
        elif unexplained_bytes() > 2 * self._last_bytes + _SLACK_BYTES:
            log.warning("memory has doubled: garbage is collected while devices play")
            self._collect()

    def expected_s(self) -> float:
        """Return how long a full collection would take now."""
        return self._block_s * self._blocks()

    def _blocks(self) -> int:
        return max(1, sys.getallocatedblocks() - self._frozen_blocks)

    def _collect(self) -> None:
        blocks, began_s, worked_s = self._blocks(), time.perf_counter(), time.thread_time()
        found = gc.collect()
        worked_s = time.thread_time() - worked_s
        pause_s = time.perf_counter() - began_s
        self._block_s = max(_BLOCK_S, _MARGIN * worked_s / blocks)
        self._last_s = trio.current_time()
        self._last_bytes = unexplained_bytes()
        self._meter.collected(pause_s)
        if found >= _NOTABLE:
            log.info("cycles collected", objects=found, pause_ms=round(1000 * pause_s))


def unexplained_bytes() -> int:
    """Return the resident memory that the tasks which live now do not account for."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    return max(0, _resident_bytes() - tasks * _TASK_BYTES)


def _resident_bytes() -> int:
    """Return the resident memory of this process; 0 where there is no Linux to ask."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


@asynccontextmanager
async def collecting(meter: Meter, lead_s: Callable[[], float]) -> AsyncIterator[None]:
    """Collect garbage as long as the block lasts, in the pauses that a lead of sound allows: the
    shortest of all devices, as `lead_s` returns it.

    The objects of its beginning are frozen until it ends.
    """
    translate_without_cycles()
    collector = Collector(meter, lambda: pauses_for(lead_s()))
    collector.freeze()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collector.run)
            nursery.start_soon(keep_huge_pages)
            yield
            nursery.cancel_scope.cancel()
    finally:
        gc.unfreeze()
