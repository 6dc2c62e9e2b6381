"""The devices of this process as an agent: looked at and acted on without a question."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from functools import partial

import trio

from audio_server.device.behaviour import Button
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices
from audio_server.fleet import actions
from audio_server.fleet.agents import Actor, DeviceIds, Gaps, SeenRow, Take
from audio_server.fleet.announcements import Announcements, Order, Reports
from audio_server.fleet.change_tracker import BATCH, Changes, ChangeTracker
from audio_server.fleet.event_numbers import EventNumbers
from audio_server.fleet.history import History
from audio_server.fleet.interface import Event, Outcomes
from audio_server.fleet.judging import breaches_in
from audio_server.fleet.sightings import Sightings
from audio_server.fleet.snapshot import Snapshot, facts
from audio_server.judge.bench import Bench
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress


class DevicesHere:
    """An agent, and all `Agents` of a server of one process. From now on it counts for the
    inventory, and keeps the history of its devices unless `records` is false. `worker` is the
    number of this process, if there are several: then others give events their `numbers`."""

    node = ""

    def __init__(
        self, devices: Devices, worker: int | None = None, *, records: bool = True
    ) -> None:
        self.numbers = EventNumbers()
        self.sightings = Sightings(devices)
        self.look = ChangeTracker(devices, worker)
        self.history = History(self.look, worker or 0, self.numbers)
        self.subscribers = self.history.subscribers
        self._devices = devices
        self._worker = worker
        self._announcements = Announcements()
        self._bench = Bench(devices)
        if records:
            devices.subscribe(self.history)

    # -- queries

    async def rows(self, device_ids: DeviceIds) -> Sequence[SeenRow]:
        """Return devices; takes them a few at a time."""
        if device_ids is None:
            async with aclosing(self.look.batches()) as batches:
                return [self._row(seen) async for batch in batches for seen in batch]
        rows = []
        for number, device_id in enumerate(device_ids, 1):
            device = self._devices.by_id.get(device_id)
            seen = self.history.gone(device_id) if device is None else self.look.at(device)
            if seen is not None:
                rows.append(self._row(seen))
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        return rows

    def _row(self, seen: Snapshot) -> SeenRow:
        return SeenRow(seen.device_id, seen.came_ns, facts(seen, self._worker))

    async def changes(self) -> Sequence[Changes]:
        """Return the changes since the last call."""
        async with aclosing(self.look.changes()) as changes:
            return [part async for part in changes]

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        return await self.history.of(device_id)

    async def collect(self, take: Take, *, everything: bool) -> None:
        """Give sightings that are due, or all."""
        for sightings in self.sightings.all() if everything else self.sightings.due():
            take(sightings)
            await trio.lowlevel.checkpoint()

    def is_connected(self, device_id: str) -> bool:
        """Whether a device is connected."""
        return device_id in self._devices.by_id

    def knows(self, device_id: str) -> bool:
        """Whether a device is connected, or was lately."""
        return self.is_connected(device_id) or self.history.knows(device_id)

    # -- actions

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes:
        """Press a button of several devices."""
        chosen = list(self._devices.by_id) if device_ids is None else device_ids
        return await actions.press_each(partial(actions.press, self._devices), chosen, button)

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await actions.play(self._devices, device_ids, clip)

    async def stop(self, device_ids: DeviceIds) -> Outcomes:
        """Stop playback."""
        return await actions.stop(self._devices, device_ids)

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement."""
        announcement = self._announcements.begin(order)
        return await actions.announce(self._devices, device_ids, announcement)

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is."""
        told = () if order.again else breaches_in(await self.events(device_id))
        return self._bench.judge(device_id, order, told)

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement."""
        return self._announcements.reports(announcement_id)

    async def renamed(self, device_id: str, name: str | None) -> None:
        """Note an event."""
        self.history.happened(device_id, DeviceEvent.RENAMED, name)

    async def forgotten(self, device_id: str) -> None:
        """Drop the history of a device that is away, and its end, which would bring it back."""
        if not self.is_connected(device_id):
            self.sightings.of(device_id)
            self.history.forget(device_id)

    # -- as the agents of a server of one process

    async def run(self) -> None:
        """Give events to subscribers."""
        await self.subscribers.run()

    async def shares(
        self, device_ids: DeviceIds, _gaps: Gaps
    ) -> AsyncGenerator[tuple[Actor, DeviceIds], None]:
        """Yield all devices as those of this process."""
        yield self, device_ids

    def all(self) -> Sequence[DevicesHere]:
        """Return itself."""
        return [self]

    def of(self, _device_id: str) -> DevicesHere:
        """Return itself."""
        return self

    def offering(self, order: Order) -> AbstractAsyncContextManager[Order]:
        """Give the order as it is."""
        return nullcontext(order)

    def follow(self, lost: Callable[[str], None]) -> None:
        """Never call `lost`."""
