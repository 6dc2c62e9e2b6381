"""Login of operators: by the token, or by the cookie that is given for it.

A cookie carries its expiry and its session, and is signed. So nothing is stored for it until it is
ended by logging out. The key is the server's own and random: with one derived from the token,
guesses at the token could be tried as cookies, and those are not counted. Another token ends all
cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from itsdangerous import BadSignature, Signer
from starlette.requests import HTTPConnection

from audio_server.identity.tokens import hash_token
from audio_server.web.ended_sessions import EndedSessions

SESSION_S: Final = 7 * 24 * 3600
"""How long a browser stays logged in."""

SESSION_BYTES: Final = 8
"""Of the name of a session: it tells sessions apart, and is no secret."""


class Login:
    """The values derived from one token. Every comparison takes the same time for every input."""

    def __init__(self, token: str, key: bytes, ended: EndedSessions | None = None) -> None:
        self._key = key
        self._hash = hash_token(token)
        self._ended = ended or EndedSessions()
        self.version = 0
        """One more whenever a token or a cookie stops counting: open answers are judged anew."""
        # Browsers keep one jar for all ports of a host: servers there shall not share a name.
        name = hmac.digest(key, b"name of the cookie", "sha256").hex()
        self.cookie_name: Final = f"operator-{name[:8]}"

    def use(self, token: str) -> None:
        """Go by this token from now on."""
        self._hash = hash_token(token)
        self.version += 1

    def cookie_of(self, asked: HTTPConnection) -> str:
        """Return the cookie of a request; empty where there is none.

        Other cookies beside it are skipped: to remove their quotes costs seconds with
        `http.cookies` before Python 3.11.10 and 3.12.6, and any client can send them.
        """
        pairs = ";".join(asked.headers.getlist("cookie")).split(";")
        named = (pair.partition("=") for pair in pairs)
        values = [value.strip() for name, _, value in named if name.strip() == self.cookie_name]
        return values[-1] if values else ""

    def is_token(self, given: str) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(hash_token(given), self._hash)

    def new_cookie(self, now: float) -> str:
        """A cookie that is good for `SESSION_S` from `now` (s since 1970), until `end`."""
        session = f"{int(now) + SESSION_S}.{secrets.token_hex(SESSION_BYTES)}"
        return self._signer.sign(session).decode()

    def is_cookie(self, given: str, now: float) -> bool:
        """Whether it is a cookie of this token, and still good."""
        return self._session_of(given, now) is not None

    async def end(self, cookie: str, now: float) -> None:
        """Have a cookie no longer count; one that does not count is passed over."""
        if (session := self._session_of(cookie, now)) is not None:
            self.version += 1
            await self._ended.add(*session, now)

    def _session_of(self, cookie: str, now: float) -> tuple[str, int] | None:
        """Return the name of a session and its end (s since 1970); None if it does not count."""
        try:
            until, name = self._signer.unsign(cookie).decode().split(".")
        except BadSignature:
            return None
        counts = int(until) > now and not self._ended.has(name)
        return (name, int(until)) if counts else None

    @property
    def _signer(self) -> Signer:
        """The signer of this token: another token has another one."""
        return Signer(self._key, self._hash, key_derivation="hmac", digest_method=hashlib.sha256)
