"""The fleet of devices that are connected to this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, aclosing
from typing import NoReturn

import trio

from audio_server.device.behaviour import Button
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices
from audio_server.fleet import actions
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import ChangeTracker
from audio_server.fleet.history import History
from audio_server.fleet.interface import DONE, GONE, Event, Outcome, Outcomes, Row
from audio_server.fleet.merge import Merge
from audio_server.fleet.names import MemoryNames, NameStore, checked_name
from audio_server.fleet.snapshot import Snapshot, facts

LOOK_S = 0.25
"""Interval of the comparison of devices, while there is a subscriber."""


class LocalFleet:
    """A `Fleet`. Without `names` the names of devices last as long as the process.

    It keeps a history of events, unless `records` is false.
    """

    def __init__(
        self, devices: Devices, names: NameStore | None = None, *, records: bool = True
    ) -> None:
        self._devices = devices
        self._names: NameStore = MemoryNames() if names is None else names
        self._broadcast = Broadcast(self._names)
        self._look = ChangeTracker(devices)
        self._merge = Merge()
        self._history = History(self._look)
        if records:
            devices.subscribe(self._history)

    async def run(self) -> NoReturn:
        """Send changes to subscribers, for ever. A cancel ends all subscriptions."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._history.run)
            await self._feed_watchers()

    async def _feed_watchers(self) -> NoReturn:
        try:
            while True:
                await self._broadcast.wait_watched()
                async with aclosing(self._look.changes()) as changes:
                    async for part in changes:
                        self._merge.take("", part)
                await self._broadcast.tell(self._merge.flush())
                await trio.sleep(LOOK_S)
        finally:
            self._broadcast.close()

    # -- queries

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._broadcast.is_full or self._history.is_full

    def watching(self) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block."""
        return self._broadcast.watching()

    async def rows(self) -> Sequence[Row]:
        """Return all devices; takes them a few at a time."""
        async with aclosing(self._look.batches()) as batches:
            return [self._row(seen) async for batch in batches for seen in batch]

    async def row(self, device_id: str) -> Row | None:
        """Return one device, also one that is gone lately."""
        device = self._devices.by_id.get(device_id)
        if device is not None:
            return self._row(self._look.at(device))
        seen = self._history.gone(device_id)
        return None if seen is None else self._row(seen)

    def _row(self, seen: Snapshot) -> Row:
        name = self._names.get(seen.device_id)
        return {"id": seen.device_id, "name": name, **facts(seen)}

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        return await self._history.of(device_id)

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events from now on, for the block."""
        return self._history.following(device_id)

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button."""
        return await actions.press(self._devices, device_id, button)

    async def play(self, device_ids: Sequence[str] | None, clip: int) -> Outcomes:
        """Play a clip."""
        return await actions.play(self._devices, device_ids, clip)

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback."""
        return await actions.stop(self._devices, device_ids)

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away."""
        checked = None if name is None else checked_name(name)
        if not self._knows(device_id):
            return GONE
        self._names.put(device_id, checked)
        self._history.happened(device_id, DeviceEvent.RENAMED, checked)
        self._broadcast.rename(device_id)
        await self._names.wait_durable(device_id)
        return DONE

    def _knows(self, device_id: str) -> bool:
        is_here = device_id in self._devices.by_id or self._history.knows(device_id)
        return is_here or self._names.get(device_id) is not None
