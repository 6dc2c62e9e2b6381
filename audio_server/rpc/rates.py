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

    def has_token(self, now: float) -> bool:
        """Whether one could be taken. `now` never goes back."""
        self._fill(now)
        return self._tokens >= 1

    def take(self, now: float) -> bool:
        """Take one token; False when there is none."""
        if not self.has_token(now):
            return False
        self._tokens -= 1
        return True

    def has_one(self, now: float) -> bool:
        """Whether `take` would get one."""
        self._fill(now)
        return self._tokens >= 1

    def book(self, now: float) -> float:
        """Take one token even when there is none; in how many seconds it will be there."""
        self._fill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def is_full(self, now: float) -> bool:
        """Whether it is as it was when it was new."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self._per_s
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled_at = now
