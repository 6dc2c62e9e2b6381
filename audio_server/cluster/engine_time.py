"""The engine's clock as a node knows it: from the answers of its beats."""

from __future__ import annotations

from collections.abc import Callable


class EngineTime:
    """An estimate that is behind the engine's clock by no more than its quickest answer took.

    `clock` is the process's, in seconds. An engine whose clock is set back is followed with the
    next beat.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset_us: float | None = None

    def heard(self, engine_us: int, asked_at: float) -> None:
        """Learn from an answer, to a question of that time of the process."""
        least = engine_us - self._clock() * 1e6
        most = engine_us - asked_at * 1e6
        if self._offset_us is None or not least <= self._offset_us <= most:
            self._offset_us = least

    def now_us(self) -> int:
        """Return the engine's time in microseconds; `heard` must have been called."""
        assert self._offset_us is not None
        return int(self._clock() * 1e6 + self._offset_us)
