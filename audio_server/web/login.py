"""Who is an operator: whoever has the token, or the cookie that is given for it.

A cookie says until when it is good, and is signed. So nothing is kept for it. The key is the
server's own and random: with one that came from the token, whoever guesses tokens could try them as
cookies, and those are not counted. Another token ends all cookies.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

SESSION_S: Final = 7 * 24 * 3600
"""How long a browser stays logged in."""


class Login:
    """What is made of one token. Every comparison takes the same time whatever is given."""

    def __init__(self, token: str, key: bytes) -> None:
        self._key = key
        self._hash = _hash(token)
        # Browsers keep one jar for all ports of a host: servers there shall not share a name.
        self.cookie_name: Final = f"operator-{self._signed(b'name of the cookie')[:8]}"

    def use(self, token: str) -> None:
        """Go by this token from now on."""
        self._hash = _hash(token)

    def is_token(self, given: str) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(_hash(given), self._hash)

    def new_cookie(self, now: float) -> str:
        """A cookie that is good for `SESSION_S` from `now` (s since 1970)."""
        until = str(int(now) + SESSION_S)
        return f"{until}.{self._signature(until)}"

    def is_cookie(self, given: str, now: float) -> bool:
        """Whether it is a cookie of this token, and still good."""
        until, _, signature = given.partition(".")
        is_ours = hmac.compare_digest(_hash(signature), _hash(self._signature(until)))
        return is_ours and int(until) > now

    def _signature(self, until: str) -> str:
        return self._signed(self._hash + until.encode(errors="replace"))

    def _signed(self, what: bytes) -> str:
        return hmac.digest(self._key, what, "sha256").hex()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
