"""The devices that are away, of all nodes, as a node has them in memory.

A node reads the changes since the last time, on request and now and then. A device takes about half
a kilobyte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec
import trio

from audio_server.cluster.link import Session
from audio_server.cluster.scripts import AWAY
from audio_server.device.entry import Entry
from audio_server.wire.device_ids import is_device_id

INDEX = "as:away"

PAGE = 50
"""Devices that are read at a time, so that claims wait for no more."""

_row: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])


class Away(NamedTuple):
    """A device that is away: its facts, and the name of the node that it was last connected to."""

    entry: Entry
    node: str | None


class AwayDevices:
    """Those of all nodes, as they were last read. `forgotten` is called with each without
    facts, and `changed` with each that has others, or is connected to a node by now."""

    def __init__(
        self, forgotten: Callable[[str], None], changed: Callable[[str, bool], None]
    ) -> None:
        self.by_id: dict[str, Away] = {}
        self.read_at = -trio.current_time() - 1e9
        self._forgotten = forgotten
        self._changed = changed
        self._version = 0
        self._reading = trio.Lock()

    async def read(self, session: Session, max_age_s: float = 0.0) -> None:
        """Read the changes, unless that was done `max_age_s` ago. Raises `ClusterDown`."""
        asked_at = trio.current_time()
        async with self._reading:
            if self.read_at > asked_at - max_age_s or self.read_at >= asked_at:
                return
            begun_at = trio.current_time()
            has_all, *rows = await self._page(session)
            if has_all == "0":
                self._begin_anew()
                rows = (await self._page(session))[1:]
            while rows:
                for row in rows:
                    self._take(row)
                rows = (await self._page(session))[1:] if len(rows) == PAGE else []
            self.read_at = begun_at

    async def _page(self, session: Session) -> list[str]:
        page: list[str] = await session.call(AWAY, INDEX, self._version, PAGE)
        return page

    def _begin_anew(self) -> None:
        """The engine has lost some, or this node has missed which ones are back: read all."""
        self._version = 0
        self.by_id.clear()

    def _take(self, text: str) -> None:
        """Take a row as the engine tells it; one that is malformed is dropped."""
        try:
            device_id, version, *facts = _row.decode(text)
            self._version = max(self._version, int(version))
            if is_device_id(device_id):
                self.put(device_id, facts)
        except (msgspec.DecodeError, ValueError):
            return

    def put(self, device_id: str, facts: list[str]) -> None:
        """Take the facts of a device, the word `here`, or none. Raises `ValueError`."""
        away = _away(facts) if len(facts) > 1 else None
        self.by_id.pop(device_id, None)  # those seen last are at the end
        if away is not None:
            self.by_id[device_id] = away
        if facts:
            self._changed(device_id, away is None)
        else:
            self._forgotten(device_id)


def _away(facts: list[str]) -> Away:
    first, last, node, address, connections, takes, errors, mode, leds, firmware = facts
    entry = Entry(
        round(int(first) / 1e6, 3),
        round(int(last) / 1e6, 3),
        address or None,
        int(connections or 0),
        int(takes or 0),
        int(errors or 0),
        int(mode or 0),
        leds or None,
        firmware or None,
    )
    return Away(entry, node or None)


async def without_rows(session: Session, device_ids: Iterable[str]) -> list[str]:
    """Return those devices of which the engine has no facts. Raises `ClusterDown`."""
    found: list[str] = []
    left = iter(device_ids)
    while some := list(islice(left, PAGE)):
        answers = await session.commands(["EXISTS", f"as:s:{one}"] for one in some)
        found += [one for one, is_there in zip(some, answers, strict=True) if not is_there]
    return found


async def devices_at(session: Session, node: str) -> AsyncIterator[str]:
    """Yield the devices that are connected to a node for the engine. Raises `ClusterDown`."""
    cursor = b"0"
    while True:
        command = "SSCAN", f"as:at:{node}", cursor, "COUNT", PAGE
        ((cursor, device_ids),) = await session.commands([command])
        for device_id in device_ids:
            yield device_id.decode(errors="replace")
        if cursor == b"0":
            return
