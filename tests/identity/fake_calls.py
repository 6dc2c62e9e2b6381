"""A call of a device, as authenticators see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multidict import MultiDict


class FakePeer:
    def __init__(self, names: Sequence[str]) -> None:
        self._subject = tuple((("commonName", name),) for name in names)

    def cert(self) -> dict[str, Any] | None:
        return {"subject": self._subject} if self._subject else None


class FakeCall:
    """A call with these headers, over TLS with these common names."""

    def __init__(self, *authorizations: str, names: Sequence[str] = ()) -> None:
        pairs = [("device_id", "x"), *(("authorization", value) for value in authorizations)]
        self.metadata = MultiDict(pairs)
        self.peer = FakePeer(names)
        self.complaints: list[str] = []
        self.disowned = False

    def revoke(self) -> None:
        self.disowned = True

    def log_peer_error(self, reason: str, **details: object) -> None:
        assert set(details) == {"device"}
        self.complaints.append(reason)
