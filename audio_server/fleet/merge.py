"""Changes of several nodes, merged between one report and the next.

A device that moves is gone from one node and new at another, in either order; and for a
moment both may have it. The one to which it connected last counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from audio_server.fleet.change_tracker import Changes, EncodedRow


class _Seat(NamedTuple):
    node: str
    came_ns: int


class Merge:
    """Takes changes from nodes and gives them as of one."""

    def __init__(self) -> None:
        self._seats: dict[str, _Seat] = {}
        self._rows: dict[str, EncodedRow] = {}
        self._gone: set[str] = set()

    def take(self, node: str, changes: Changes) -> None:
        """Add the changes of one node."""
        for device_id, told in changes.rows.items():
            last = self._seats.get(device_id)
            if last is None or told.came_ns >= last.came_ns:
                self._seats[device_id] = _Seat(node, told.came_ns)
                self._rows[device_id] = told
                self._gone.discard(device_id)
        self._lose(node, changes.gone)

    def lose(self, node: str) -> None:
        """Drop the devices of a node that is gone, until they come again."""
        seats = self._seats.items()
        self._lose(node, [device_id for device_id, seat in seats if seat.node == node])

    def _lose(self, node: str, device_ids: Iterable[str]) -> None:
        for device_id in device_ids:
            seat = self._seats.get(device_id)
            if seat is not None and seat.node == node:
                del self._seats[device_id]
                self._rows.pop(device_id, None)
                self._gone.add(device_id)

    def flush(self) -> Changes:
        """Return the changes since the last call."""
        changes = Changes(self._rows, list(self._gone))
        self._rows, self._gone = {}, set()
        return changes
