"""The clock of the engine as a node knows it, for times that several machines agree on."""

from __future__ import annotations

import time
from collections.abc import Callable


def boot_s() -> float:
    """Seconds that go on while the machine is suspended, where the system can tell them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class EngineClock:
    """The present time of the engine, in seconds: bounds from its last answer, and an estimate.

    The engine has read its clock at some time between the question and the answer. A deadline is
    made from the earlier bound and compared with the later one, so that a slow link only makes it
    come too early. An engine whose clock is set back is followed with the next answer.
    """

    def __init__(self, clock: Callable[[], float] = boot_s) -> None:
        self._clock = clock
        self._earliest = self._latest = self._nearest = 0.0

    def read(self) -> float:
        """The node's own clock, to be given to `told` with the answer."""
        return self._clock()

    def told(self, asked_at: float, engine_s: float) -> None:
        """Take the engine's time, which was asked for at that time of the node."""
        self._earliest = engine_s - self._clock()
        self._latest = engine_s - asked_at
        if not self._earliest <= self._nearest <= self._latest:
            self._nearest = self._earliest

    def earliest(self) -> float:
        """The engine's time is this or later."""
        return self._clock() + self._earliest

    def latest(self) -> float:
        """The engine's time is this or earlier."""
        return self._clock() + self._latest

    def nearest(self) -> float:
        """An estimate, behind the engine's time by no more than its quickest answer took."""
        return self._clock() + self._nearest
