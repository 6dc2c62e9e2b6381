"""h2's objects made smaller: thousands of connections are open at once.

h2 keeps a queue of values for every setting, and hpack one of table entries, each a deque, and
an empty deque is 760 bytes: 10 KB of a connection were these. A list does the same at the few
entries that there are. Another 1.4 KB is h2's table of bound methods, made for each connection
anew (h2 4.4, hpack 4.2: pinned, because this leans on their internals).
"""

from __future__ import annotations

from typing import Any, cast

from h2.connection import H2Connection
from hyperframe.frame import Frame


class _Queue(list[Any]):
    """A list with the two methods of a deque that are called on it."""

    __slots__ = ()

    def popleft(self) -> Any:
        return self.pop(0)

    def appendleft(self, value: Any) -> None:
        self.insert(0, value)


class _Receivers:
    """h2's methods by class of frame, bound when they are called."""

    __slots__ = ("_connection",)

    def __init__(self, connection: H2Connection) -> None:
        self._connection: H2Connection | None = connection

    def __getitem__(self, kind: type[Frame]) -> Any:
        return getattr(self._connection, _NAMES[kind])

    def clear(self) -> None:
        """Let go of the connection, which refers to this."""
        self._connection = None


_NAMES: dict[type[Frame], str] = {
    kind: method.__name__ for kind, method in H2Connection()._frame_dispatch_table.items()
}


def slim(connection: H2Connection) -> None:
    """Replace the deques of a connection that was just made."""
    for settings in (connection.local_settings, connection.remote_settings):
        queues: dict[Any, Any] = settings._settings
        for code, values in queues.items():
            queues[code] = _Queue(values)
    for table in (connection.encoder.header_table, connection.decoder.header_table):
        table.dynamic_entries = _Queue(table.dynamic_entries)  # type: ignore[assignment]
    connection._frame_dispatch_table = cast(Any, _Receivers(connection))
