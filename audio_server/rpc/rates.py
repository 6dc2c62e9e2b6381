"""How often is too often: token buckets."""

from __future__ import annotations

Rate = tuple[int, float]
"""So many at once (burst), and so many a second in the long run."""


class TokenBucket:
    """Holds a burst of tokens at first and at most, and gains so many a second."""

    __slots__ = ("_burst", "_filled_at", "_per_s", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._burst, self._per_s = rate
        self._tokens = float(self._burst)
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take one token; False when there is none. `now` never goes back."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until there is a token; 0 when there is one."""
        self._fill(now)
        return max(0.0, (1 - self._tokens) / self._per_s)

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self._per_s
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled_at = now
