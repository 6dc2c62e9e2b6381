"""How many requests of a kind are answered at once: those that take long leave room for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audio_server.web.api.operation import Problem


class AtOnce:
    """At most `most` of a kind; one more is answered 503 with `reason`."""

    def __init__(self, most: int, reason: str) -> None:
        self._most = most
        self._reason = reason
        self._count = 0

    def check(self) -> None:
        """Raise `Problem` where there is no room for one more."""
        if self._count >= self._most:
            raise Problem(503, f"{self._reason}; try again in a while")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A block that is one of them."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
