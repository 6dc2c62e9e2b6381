"""Rows of devices for subscribers: all rows first, then the rows that change.

With very many rows the event `all` has the first of them, and `changes` right after it the rest.

A change is encoded once for all subscribers. A subscriber that is too slow is disconnected; a page
reconnects by itself and begins with all rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TypeAlias

import msgspec
import trio

from audio_server.fleet.change_tracker import Changes
from audio_server.fleet.inventory import Inventory

WATCHERS_MAX = 64
"""Each page that is open is one, and a browser keeps many tabs."""

BEHIND_MAX = 40
"""Events that may wait for one subscriber, besides those that hold all rows."""

ROWS_MAX = 500
"""Rows in one event; the rest follows at once in `changes`."""

Watcher: TypeAlias = trio.MemorySendChannel[bytes]


class Broadcast:
    """The owner of the devices passes changes to `tell` while there is a subscriber."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._rows: dict[str, str] = {}
        self._touched: set[str] = set()
        self._watchers: dict[Watcher, bool] = {}  # and whether it has had all rows
        self._watched = trio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return len(self._watchers) >= WATCHERS_MAX

    async def wait_watched(self) -> None:
        """Return once there is a subscriber."""
        await self._watched.wait()

    @contextmanager
    def watching(self) -> Iterator[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block: all devices first, then changes."""
        send, receive = trio.open_memory_channel[bytes](inf)
        self._watchers[send] = False
        self._watched.set()
        try:
            yield receive
        finally:
            self._let_go(send)

    def touch(self, device_id: str) -> None:
        """Send the row of a device again: the inventory has changed."""
        if self._watchers:
            self._touched.add(device_id)

    async def tell(self, changes: Changes) -> None:
        """Send changes to each subscriber. The caller awaits one call before the next."""
        self._take(changes)
        told = list(changes.rows.keys() | (self._touched & self._rows.keys()))
        absent = self._absent(self._touched - self._rows.keys())
        self._touched = set()
        old = [watcher for watcher, has_all in self._watchers.items() if has_all]
        new = [watcher for watcher, has_all in self._watchers.items() if not has_all]
        if old and (told or changes.gone or absent):
            await self._send(old, "changes", told, changes.gone, absent)
        if new:
            await self._send(new, "all", list(self._rows), [])

    def _absent(self, device_ids: Iterable[str]) -> str:
        """Return the members of an event about devices that are not connected."""
        away = list(map(self._inventory.row, filter(self._inventory.knows, device_ids)))
        forgotten = [one for one in device_ids if not self._inventory.knows(one)]
        parts = {"away": away, "forgotten": forgotten}
        return "".join(f',"{key}":{_json(value)}' for key, value in parts.items() if value)

    def close(self) -> None:
        """End all subscriptions."""
        for watcher in self._watchers:
            watcher.close()

    def _take(self, changes: Changes) -> None:
        for device_id in changes.gone:
            self._rows.pop(device_id, None)
        for device_id, told in changes.rows.items():
            self._rows[device_id] = told.text

    async def _send(
        self,
        watchers: list[Watcher],
        name: str,
        device_ids: list[str],
        gone: list[str],
        absent: str = "",
    ) -> None:
        """Send rows in events of bounded size, with a checkpoint after each."""
        for start in range(0, max(1, len(device_ids)), ROWS_MAX):
            event = self._event(name, device_ids[start : start + ROWS_MAX], gone, absent)
            name, gone, absent = "changes", [], ""
            for watcher in watchers:
                self._send_one(watcher, event)
            await trio.lowlevel.checkpoint()

    def _send_one(self, watcher: Watcher, event: bytes) -> None:
        if watcher not in self._watchers:
            return
        most = BEHIND_MAX + len(self._rows) // ROWS_MAX
        if watcher.statistics().current_buffer_used < most:
            watcher.send_nowait(event)
            self._watchers[watcher] = True
        else:
            self._let_go(watcher)

    def _let_go(self, watcher: Watcher) -> None:
        watcher.close()
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._watched = trio.Event()

    def _event(self, name: str, device_ids: Iterable[str], gone: list[str], absent: str) -> bytes:
        rows = ",".join(self._row(device_id) for device_id in device_ids)
        told = f'{{"now":{time.time():.3f},"rows":[{rows}],"gone":{_json(gone)}{absent}}}'
        return f"event: {name}\ndata: {told}\n\n".encode()

    def _row(self, device_id: str) -> str:
        facts = {
            "id": device_id,
            "name": self._inventory.name_of(device_id),
            **self._inventory.facts(device_id, connected=True),
        }
        return f"{_json(facts)[:-1]},{self._rows[device_id]}}}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
