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
        self.spend()
        return True

    def spend(self) -> None:
        """Take the token that `has_token` has seen."""
        self._tokens -= 1

    def book(self, now: float) -> float:
        """Take one token even when there is none; in how many seconds it will be there."""
        self._fill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def owed_s(self, now: float) -> float:
        """In how many seconds all tokens that were booked will have been there."""
        self._fill(now)
        return max(0.0, -self._tokens / self._per_s)

    def is_full(self, now: float) -> bool:
        """Whether it is as it was when it was new."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self._per_s
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled_at = now


class Buckets:
    """A bucket of the same rate for each of many names, such as devices or addresses.

    Those that are full are forgotten now and then: a new one is as full. So there are about as
    many as names that something was taken for lately.
    """

    _KEPT = 1024

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, TokenBucket] = {}
        self._sweep_at = self._KEPT

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, name: str) -> bool:
        return name in self._buckets

    def has_token(self, name: str, now: float) -> bool:
        """Whether there is a token for the name. Makes no bucket."""
        bucket = self._buckets.get(name)
        return bucket is None or bucket.has_token(now)

    def of(self, name: str, now: float) -> TokenBucket:
        """The bucket of a name."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self.sweep(now)
            bucket = self._buckets[name] = TokenBucket(self._rate, now)
        return bucket

    def sweep(self, now: float) -> None:
        """Forget the buckets that are full."""
        kept = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full(now)}
        self._buckets = kept
        self._sweep_at = max(self._KEPT, 2 * len(kept))
