"""One clock tick for all takes of all devices.

A take sleeps four or five times a second. With a deadline of its own, each of thousands of takes
costs trio a heap operation, a cancel scope and a pass of the scheduler; and it would wake alone.
Here the times are rounded up to shared ticks, and one task wakes all who are due together: their
sends then leave together too.
"""

from __future__ import annotations

import math
from typing import NoReturn, TypeAlias

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

TICKS_PER_S = 100
"""A tick is 10 ms."""

CHUNK = 32
"""How many are woken between two looks at the sockets: about a millisecond's worth of work."""

_ROUNDING = 1e-6
"""In ticks. A time that should lie on a tick may miss it by what a float cannot hold."""

_Sleepers: TypeAlias = dict[Task, None]


class Metronome:
    """Wakes sleepers at ticks of 10 ms by trio's clock. `run` is its one task.

    Ticks are absolute: whoever sleeps until a computed time does not drift. When the loop was
    late, everyone whose tick has passed is woken at once.
    """

    __slots__ = ("_alarm", "_sleepers")

    def __init__(self) -> None:
        self._sleepers: dict[int, _Sleepers] = {}
        self._alarm = trio.CancelScope()

    async def run(self) -> NoReturn:
        """Wake who is due, for ever. Costs nothing while nobody sleeps.

        When it is cancelled, sleepers stay asleep: end them first or with it.
        """
        while True:
            first = min(self._sleepers, default=math.inf)
            self._alarm = trio.CancelScope(deadline=first / TICKS_PER_S)
            with self._alarm:
                await trio.sleep_forever()
            await self._wake_due()

    async def sleep_until(self, when: float) -> None:
        """Return at the first tick at or after `when`, in seconds of trio's clock.

        Cancelling it leaves nothing behind.
        """
        task = trio.lowlevel.current_task()
        sleepers = self._at(math.ceil(when * TICKS_PER_S - _ROUNDING))
        sleepers[task] = None

        def abort(_: RaiseCancelT) -> Abort:
            del sleepers[task]
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _at(self, tick: int) -> _Sleepers:
        sleepers = self._sleepers.get(tick)
        if sleepers is None:
            sleepers = self._sleepers[tick] = {}
            if tick < self._alarm.deadline * TICKS_PER_S:
                self._alarm.deadline = tick / TICKS_PER_S
        return sleepers

    async def _wake_due(self) -> None:
        now = math.floor(trio.current_time() * TICKS_PER_S + _ROUNDING)
        for tick in sorted(tick for tick in self._sleepers if tick <= now):
            sleepers = self._sleepers.pop(tick)
            while sleepers:
                for _ in range(min(CHUNK, len(sleepers))):
                    trio.lowlevel.reschedule(sleepers.popitem()[0])
                await trio.lowlevel.checkpoint()
