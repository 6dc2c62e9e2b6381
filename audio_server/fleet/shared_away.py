"""The inventory of all nodes, as that of one node reads and writes it."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Protocol

import trio

from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.sightings import Seen
from audio_server.device.entry import Entry
from audio_server.fleet.expendable import Expendable, network_of
from audio_server.fleet.sightings import Sighting

if TYPE_CHECKING:
    from audio_server.cluster.inventory import SharedInventory

BATCH = 200
"""Devices between two checkpoints."""


class OwnInventory(Protocol):
    """The inventory of the node itself."""

    @property
    def here(self) -> Container[str]:
        """The ids of the devices that are connected to the node."""

    def is_named(self, device_id: str) -> bool:
        """Whether a device has a name or tags."""

    def named(self) -> Iterable[str]:
        """Return the ids of all devices that have a name or tags."""

    def own_entries(self) -> Iterable[tuple[str, Entry]]:
        """Return the facts of all devices that the node has seen."""

    def drop(self, device_id: str) -> None:
        """Forget the facts of a device that is away."""


class SharedAway:
    """The inventory of all nodes, for that of one."""

    def __init__(self, shared: SharedInventory, own: OwnInventory) -> None:
        self._shared = shared
        self._own = own
        shared.here, shared.own = own.here, own.own_entries
        shared.forgotten, shared.victims = own.drop, self._victims

    @property
    def is_up(self) -> bool:
        """Whether the devices of all nodes can be told."""
        return self._shared.is_up

    def saw(self, new: Sighting) -> None:
        """Tell of a device of this node."""
        counts = new.connections, new.takes, new.errors
        facts = new.is_here, new.address, *counts, new.mode, new.leds, new.firmware
        self._shared.saw(Seen(new.device_id, 0.0, *facts), time.time() - new.at)

    def left(self, device_id: str, entry: Entry) -> None:
        """Tell of a device whose process has ended."""
        self._shared.saw(Seen(device_id, 0.0, False, entry.address, 0, 0, 0, *entry[6:]), 0.0)

    def knows(self, device_id: str) -> bool:
        """Whether a device is away, as far as this node has read."""
        return device_id in self._shared.away

    def entry(self, device_id: str, own: Entry | None) -> Entry | None:
        """Return the facts of a device, of which this node has its `own`."""
        return self._shared.entry(device_id, own)

    def node_of(self, device_id: str) -> str | None:
        """Return the name of the node that a device which is away was last connected to."""
        return self._shared.node_of(device_id)

    def was_elsewhere(self, device_id: str) -> bool:
        """Whether a device that is away was last connected to another node."""
        return self._shared.node_of(device_id) not in (None, self._shared.name)

    def forget(self, device_id: str) -> None:
        """Forget a device that was forgotten at any node."""
        if device_id not in self._own.here:
            self._shared.forget(device_id)

    async def finish(self) -> None:
        """Have all be written that is known: the node is about to end."""
        await self._shared.finish()

    async def ids(self, own: Iterable[str]) -> list[str]:
        """Return the devices that are away from all nodes. Without the engine those that were last
        here; a node that has never reached it has its `own` alone."""
        if await self._shared.refresh() and self._shared.is_up:
            named = (one for one in self._own.named() if one not in self._own.here)
            try:
                unseen = await self._shared.unseen(named)
            except ClusterDown:
                return self._shared.own_away()
            return list(dict.fromkeys([*self._shared.away, *unseen]))
        return self._shared.own_away() if self._shared.is_whole else list(own)

    async def _victims(self, most: int) -> Iterable[str]:
        """Return devices that may be given up."""
        expendable = Expendable()
        for number, (device_id, away) in enumerate(list(self._shared.away.items()), 1):
            if not self._own.is_named(device_id):
                expendable.add(device_id, network_of(away.entry.address))
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        found = (expendable.give_up() for _ in range(most))
        return [device_id for device_id in found if device_id is not None]
