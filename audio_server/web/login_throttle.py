"""A throttle for wrong tokens: it slows down the address that guesses, and no other."""

from __future__ import annotations

from typing import Final

from audio_server.rpc.admission import client_network
from audio_server.rpc.rate_limit import Buckets, Rate

WRONG: Final[Rate] = (10, 0.5)
"""So many wrong tokens at once from one address, and so many a second in the long run."""

ADDRESSES_MAX: Final = 1024
"""How many addresses are told apart; all others that are wrong at the time share one account."""

_OTHERS: Final = "others"

RETRY_S: Final = 2
"""Time until an address that was refused may try again."""


class LoginThrottle:
    """Wrong tokens, by address; `now` is the loop's clock."""

    def __init__(self) -> None:
        self._wrong = Buckets(WRONG)

    def are_allowed(self, address: str, now: float) -> bool:
        """Whether a token from there is looked at now."""
        return self._wrong.has_token(self._account(address), now)

    def count(self, address: str, now: float) -> None:
        """Book a wrong token."""
        if len(self._wrong) >= ADDRESSES_MAX:
            self._wrong.sweep(now)
        self._wrong.of(self._account(address), now).take(now)

    def _account(self, address: str) -> str:
        network = client_network(address)
        has_own = network in self._wrong or len(self._wrong) < ADDRESSES_MAX
        return network if has_own else _OTHERS
