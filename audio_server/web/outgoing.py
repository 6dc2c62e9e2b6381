"""A bound on the bytes that wait to be sent, of all connections together.

Each connection may wait for its client for a while. A thousand that read slowly would still hold a
thousand answers, so their sum is bounded: past it the one that has waited longest is ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

WAITING_MAX_BYTES: Final = 64 * 1024 * 1024
"""Room for some lists of all devices at 10,000 of them (5 MB each). Sound is sent in parts of
64 KiB, of which each connection has one."""


class Outgoing:
    """The answers that are being sent now."""

    def __init__(self) -> None:
        self._waiting: dict[object, tuple[int, Callable[[], None]]] = {}
        self._total_bytes = 0

    @property
    def total_bytes(self) -> int:
        """How much waits."""
        return self._total_bytes

    @contextmanager
    def sending(self, size_bytes: int, end: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Give a block that sends so many bytes. `end` may be called within it: others need the
        room.

        Call the value of the block when a part has been taken: then it counts as waiting anew.
        """
        key = object()
        self._waiting[key] = (size_bytes, end)
        self._total_bytes += size_bytes
        try:
            self._make_room()
            yield lambda: self._renew(key)
        finally:
            self._forget(key)

    def _make_room(self) -> None:
        while self._total_bytes > WAITING_MAX_BYTES and len(self._waiting) > 1:
            key = next(iter(self._waiting))
            _, end = self._waiting[key]
            self._forget(key)
            end()

    def _renew(self, key: object) -> None:
        if key in self._waiting:
            self._waiting[key] = self._waiting.pop(key)

    def _forget(self, key: object) -> None:
        size_bytes, _ = self._waiting.pop(key, (0, None))
        self._total_bytes -= size_bytes
