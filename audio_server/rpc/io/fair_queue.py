"""A bound on the bytes of peers that are processed in one turn of the loop.

When a thousand devices send at once, all their readers are woken in the same turn, and the work of
their bytes runs in the next few: turns of a hundred milliseconds, in which no sound is sent. Only
so many readers proceed in one turn; the rest wait in line while sound, timers and writes have their
turn in between. A storm then delays the storm, and no other device.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import NoReturn

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

WIDTH = 16
"""Readers that proceed in a turn. Each causes about a tenth of a millisecond of work."""

NEWCOMER = WIDTH
"""For how many a connection's first bytes count: they may bring a device with all its tasks."""

CALLER = 5
"""For how many a call counts that is accepted: a device has three. Clients that wait for our
SETTINGS open their calls with later bytes than the first."""


class ReadScheduler:
    """Lets `WIDTH` readers proceed in one turn of the loop, in the order of their arrival.

    Work that is not urgent is done when no reader is in line, or one piece in each turn. The task
    wakes only when a turn is full or such work is there, since each wake is a turn of the loop: so
    a few readers of earlier turns may count in the present one, which costs one of sixteen readers
    a turn of waiting.
    """

    __slots__ = ("_is_open", "_line", "_passed", "_quiet", "_task")

    def __init__(self) -> None:
        self._line: dict[Task, int] = {}
        self._quiet: deque[Callable[[], None]] = deque()
        self._passed = 0
        self._is_open = True
        self._task: Task | None = None

    @property
    def passed(self) -> int:
        """How many have gone through in this turn, or in turns before it."""
        return self._passed

    async def enter(self, width: int = 1) -> None:
        """Go through as so many, or wait in line for a later turn. No checkpoint if there is no
        line."""
        if self._passed < WIDTH:
            self.count(width)
        else:
            await _wait_in(self._line, width)

    def when_quiet(self, do: Callable[[], None]) -> None:
        """Run `do` when no reader is in line; it must not block, and raises nothing. Before `run`
        starts, and after it, `do` runs at once."""
        if self._is_open:
            do()
        else:
            self._quiet.append(do)
            self._wake_up()

    def count(self, width: int) -> None:
        """So many go through, or are heard without having asked."""
        self._passed += width
        if self._passed >= WIDTH:
            self._wake_up()

    def _wake_up(self) -> None:
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def run(self) -> NoReturn:
        """Start turn after turn, for ever. Costs nothing without readers."""
        self._is_open = False
        try:
            while True:
                if self._passed < WIDTH and not self._quiet:
                    await self._wait_passed()
                    if self._passed < WIDTH:
                        self._passed = 0  # of turns that are over
                self._do_quiet(max(1, WIDTH - self._passed))
                await trio.lowlevel.checkpoint()
                self._passed = _wake(self._line, WIDTH)
        finally:
            self._stand_open()

    def _do_quiet(self, most: int) -> None:
        for _ in range(min(most, len(self._quiet))):
            self._quiet.popleft()()

    def _stand_open(self) -> None:
        """Let all readers proceed: `run` has ended, and a cancelled reader must get through to
        end."""
        self._is_open = True
        self._passed = -sys.maxsize
        _wake(self._line, sys.maxsize)
        self._do_quiet(sys.maxsize)

    async def _wait_passed(self) -> None:
        def abort(_: RaiseCancelT) -> Abort:
            self._task = None
            return Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)


async def _wait_in(line: dict[Task, int], width: int) -> None:
    task = trio.lowlevel.current_task()
    line[task] = width

    def abort(_: RaiseCancelT) -> Abort:
        del line[task]
        return Abort.SUCCEEDED

    await trio.lowlevel.wait_task_rescheduled(abort)


def _wake(line: dict[Task, int], most: int) -> int:
    """Let the first `most` of a line go on; how many there were."""
    woken = 0
    while line and woken < most:
        task = next(iter(line))
        woken += line.pop(task)
        trio.lowlevel.reschedule(task)
    return woken
