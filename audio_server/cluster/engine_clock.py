"""The clock of the engine as a node knows it, for deadlines that several machines agree on."""

from __future__ import annotations

import time
from collections.abc import Callable


def boot_s() -> float:
    """Seconds that go on while the machine is suspended, where the system can tell them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class EngineClock:
    """Bounds on the present time of the engine, in seconds, from its last answer.

    The engine has read its clock at some time between the question and the answer. A deadline is
    made from the earlier bound and compared with the later one, so that a slow link only makes it
    come too early.
    """

    def __init__(self, clock: Callable[[], float] = boot_s) -> None:
        self._clock = clock
        self._earliest = self._latest = 0.0

    def read(self) -> float:
        """The node's own clock, to be given to `told` with the answer."""
        return self._clock()

    def told(self, asked_at: float, engine_s: float) -> None:
        """Take the engine's time, which was asked for at that time of the node."""
        self._earliest = engine_s - self._clock()
        self._latest = engine_s - asked_at

    def earliest(self) -> float:
        """The engine's time is this or later."""
        return self._clock() + self._earliest

    def latest(self) -> float:
        """The engine's time is this or earlier."""
        return self._clock() + self._latest
