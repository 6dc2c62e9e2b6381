"""A throttle for wrong tokens: it slows down the address that guesses, and no other."""

from __future__ import annotations

from typing import Final

from audio_server.rpc.admission import client_network
from audio_server.rpc.rate_limit import Rate, TokenBucket

WRONG: Final[Rate] = (10, 0.5)
"""So many wrong tokens at once from one address, and so many a second in the long run."""

ADDRESSES_MAX: Final = 1024
"""How many addresses are told apart; all others that are wrong at the time share one account."""

RETRY_S: Final = 2
"""Time until an address that was refused may try again."""


class LoginThrottle:
    """Wrong tokens, by address; `now` is the loop's clock."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}
        self._others: TokenBucket | None = None

    def are_allowed(self, address: str, now: float) -> bool:
        """Whether a token from there is looked at now."""
        bucket = self._buckets.get(client_network(address))
        if bucket is None and len(self._buckets) >= ADDRESSES_MAX:
            bucket = self._others
        return bucket is None or bucket.has_token(now)

    def count(self, address: str, now: float) -> None:
        """Book a wrong token."""
        self._bucket(client_network(address), now).take(now)

    def _bucket(self, network: str, now: float) -> TokenBucket:
        if network not in self._buckets and len(self._buckets) >= ADDRESSES_MAX:
            self._forget(now)
        if network in self._buckets:
            return self._buckets[network]
        bucket = TokenBucket(WRONG, now)
        if len(self._buckets) < ADDRESSES_MAX:
            self._buckets[network] = bucket
            return bucket
        self._others = self._others or bucket
        return self._others

    def _forget(self, now: float) -> None:
        full = [name for name, bucket in self._buckets.items() if bucket.is_full(now)]
        for name in full:
            del self._buckets[name]
