"""How much of what peers send is taken in one turn of the loop.

When a thousand devices send at once, all their readers are woken in the same turn, and all that
their bytes bring about runs in the next few: turns of a hundred milliseconds, in which no sound
is sent. Only so many readers go through the turnstile in one turn; the rest wait in line while
sound, timers and writes have their turn in between. A storm then costs the storm time, and
nobody else.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

WIDTH = 16
"""How many go through in a turn. What one brings about takes about a tenth of a millisecond."""

NEWCOMER = 4
"""For how many a connection's first bytes count: they bring a device with all its tasks."""


class Turnstile:
    """Lets `WIDTH` through in one turn of the loop, in the order they came.

    Who gives way waits until nobody else is in line, or one in each turn is let through.
    """

    __slots__ = ("_giving_way", "_line", "_passed", "_task")

    def __init__(self) -> None:
        self._line: dict[Task, int] = {}
        self._giving_way: dict[Task, int] = {}
        self._passed = 0
        self._task: Task | None = None

    async def enter(self, width: int = 1) -> None:
        """Go through as so many, or wait in line for a later turn. No checkpoint if there is no
        line."""
        if self._passed < WIDTH:
            self._let_through(width)
        else:
            await _wait_in(self._line, width)

    async def give_way(self) -> None:
        """Go through when nobody is in line. No checkpoint if nobody is."""
        if self._passed < WIDTH:
            self._let_through(1)
        else:
            await _wait_in(self._giving_way, 1)

    def _let_through(self, width: int) -> None:
        self._passed += width
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def run(self) -> NoReturn:
        """Turn, for ever. Costs nothing while nobody goes through."""
        try:
            while True:
                if not self._passed:
                    await self._wait_passed()
                await trio.lowlevel.checkpoint()
                self._passed = _wake(self._line, WIDTH)
                self._passed += _wake(self._giving_way, max(1, WIDTH - self._passed))
        finally:
            self._stand_open()

    def _stand_open(self) -> None:
        """Nobody turns it any more, and who is told to end must come through to do so."""
        self._passed = -sys.maxsize
        _wake(self._line, sys.maxsize)
        _wake(self._giving_way, sys.maxsize)

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
