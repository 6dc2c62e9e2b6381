"""The fleet of devices that are connected to this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from typing import NoReturn

import trio

from audio_server.cluster.interface import RecordNews, Records
from audio_server.device.behaviour import Button
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices
from audio_server.fleet import actions
from audio_server.fleet.announcements import Announcements, Order, Reports
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import BATCH, ChangeTracker
from audio_server.fleet.event_numbers import EventNumbers
from audio_server.fleet.history import History
from audio_server.fleet.interface import (
    IS_CONNECTED,
    Event,
    NoListener,
    Outcome,
    Outcomes,
    Row,
    TagListener,
)
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.listing import Keys, Page, Wanted, keys_of, page_of, rows_for
from audio_server.fleet.merge import Merge
from audio_server.fleet.names import checked_name
from audio_server.fleet.sightings import COLLECT_S, Sightings
from audio_server.fleet.snapshot import Snapshot, facts

LOOK_S = 0.25
"""Interval of the comparison of devices, while there is a subscriber."""


class LocalFleet:
    """A `Fleet`. Without `inventory` names, tags and the devices seen last as long as the process;
    they are collected while it is `at_work`. With `shared` names and tags are those of all nodes.

    It keeps a history of events, unless `records` is false; `numbers` are those of the events.
    """

    def __init__(
        self,
        devices: Devices,
        inventory: InventoryStore | None = None,
        shared: Records | None = None,
        *,
        records: bool = True,
    ) -> None:
        self._devices = devices
        self._inventory = Inventory(inventory, shared)
        self._inventory.follow(self._on_record)
        self._sightings = Sightings(devices)
        self._broadcast = Broadcast(self._inventory)
        self._look = ChangeTracker(devices)
        self._merge = Merge()
        self.numbers = EventNumbers()
        self._history = History(self._look, 0, self.numbers)
        self._announcements = Announcements()
        self._tag_listener: TagListener = NoListener()
        if records:
            devices.subscribe(self._history)

    async def run(self) -> NoReturn:
        """Send changes to subscribers, for ever. A cancel ends all subscriptions."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._history.run)
            await self._feed_watchers()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Collect the devices that are seen for the block, and at its end all that is left."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._collect)
                yield
                nursery.cancel_scope.cancel()
        finally:
            for sightings in self._sightings.all():
                self._inventory.take(sightings)

    async def _collect(self) -> NoReturn:
        while True:
            await trio.sleep(COLLECT_S)
            for sightings in self._sightings.due():
                self._inventory.take(sightings)
                await trio.lowlevel.checkpoint()

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

    def watching(
        self, wanted: Wanted | None = None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block, of all devices."""
        return self._broadcast.watching()

    async def rows(self) -> Sequence[Row]:
        """Return all devices; takes them a few at a time."""
        async with aclosing(self._look.batches()) as batches:
            return [self._row(seen) async for batch in batches for seen in batch]

    async def away(self) -> Sequence[Row]:
        """Return the devices of the inventory that are away; takes them a few at a time."""
        return await self._inventory.away(self._devices.by_id)

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""
        return self._inventory.tags_of(device_id)

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the ids of the devices with a tag."""
        return self._inventory.tagged(tag)

    async def row(self, device_id: str) -> Row | None:
        """Return one device, also one that is away."""
        device = self._devices.by_id.get(device_id)
        if device is not None:
            return self._row(self._look.at(device))
        self._inventory.take(self._sightings.of(device_id))
        seen = self._history.gone(device_id)
        if seen is not None:
            return self._row(seen)
        return self._inventory.row(device_id) if self._inventory.knows(device_id) else None

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return some devices, a few at a time."""
        rows = []
        for number, device_id in enumerate(device_ids, 1):
            rows.append(await self.row(device_id))
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        return [row for row in rows if row is not None]

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted."""
        return await page_of(await rows_for(self, wanted), wanted)

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""
        return await keys_of(await rows_for(self, wanted), wanted)

    def _row(self, seen: Snapshot) -> Row:
        return self._inventory.live_row(seen.device_id, facts(seen))

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

    async def press_each(self, device_ids: Sequence[str] | None, button: Button) -> Outcomes:
        """Press a button of several devices."""
        chosen = list(self._devices.by_id) if device_ids is None else device_ids
        return await actions.press_each(self.press, chosen, button)

    async def play(self, device_ids: Sequence[str] | None, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await actions.play(self._devices, device_ids, clip)

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback."""
        return await actions.stop(self._devices, device_ids)

    async def announce(self, device_ids: Sequence[str] | None, order: Order) -> Outcomes:
        """Make an announcement."""
        announcement = self._announcements.begin(order)
        return await actions.announce(self._devices, device_ids, announcement)

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement."""
        return self._announcements.reports(announcement_id)

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away."""
        checked = None if name is None else checked_name(name)
        return await self._inventory.rename(device_id, checked, is_known=self._knows(device_id))

    async def tag(
        self, device_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Outcomes:
        """Give devices tags, and take others away."""
        outcomes = await self._inventory.tag(device_ids, add, remove, self._knows)
        await self._tag_listener.settle()
        return outcomes

    def follow_tags(self, listener: TagListener) -> None:
        """Report each change of tags to `listener`."""
        self._tag_listener = listener

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory."""
        if device_id in self._devices.by_id:
            return IS_CONNECTED
        return await self._inventory.forget(device_id, is_known=self._knows(device_id))

    def _on_record(self, news: RecordNews) -> None:
        """Show a change of a name or of tags, of this server or of another node."""
        device_id = news.device_id
        if news.is_renamed and not news.is_late:
            name = self._inventory.name_of(device_id)
            self._history.happened(device_id, DeviceEvent.RENAMED, name)
        if news.is_forgotten and device_id not in self._devices.by_id:
            self._sightings.of(device_id)  # of its end, which would bring it back
            self._history.forget(device_id)
        self._broadcast.touch(device_id)
        if set(news.tags_before) != set(self._inventory.tags_of(device_id)):
            self._tag_listener.retag(device_id)

    def _knows(self, device_id: str) -> bool:
        is_here = device_id in self._devices.by_id or self._history.knows(device_id)
        return is_here or self._inventory.knows(device_id)
