"""The events of devices, summed up for the inventory.

It is a `Listener`, called in the midst of an event: it only counts. A connect and a disconnect are
due at once, all else after `SLOW_S`, so that the inventory is written once a minute for a device
that plays, and never for a press or a packet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import NamedTuple, cast

import trio

from audio_server.device.device import Device
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices

COLLECT_S = 1.0
"""Interval at which sightings are collected."""

SLOW_S = 60.0
"""How long takes, errors, modes and LEDs of a device that stays may wait to be collected."""

ROUND_S = 600.0
"""Interval at which a device that stays, and does nothing, is seen again."""

BATCH = 25
"""Sightings between two checkpoints."""


class Sighting(NamedTuple):
    """News of a device. `connections`, `takes` and `errors` are those since the last sighting;
    `at` is in seconds since 1970, and `came_ns` orders the sightings of several processes."""

    device_id: str
    at: float
    came_ns: int
    is_here: bool
    address: str | None
    connections: int
    takes: int
    errors: int
    mode: int
    leds: str | None
    firmware: str | None = None


class _Seen:
    """Counts of a device since the last sighting; `gone` is the sighting of its end."""

    __slots__ = ("address", "connections", "errors", "gone", "since", "takes")

    def __init__(self) -> None:
        self.since = trio.current_time()
        self.address: str | None = None
        self.connections = self.takes = self.errors = 0
        self.gone: Sighting | None = None


class Sightings:
    """Sightings of the devices of one process."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._seen: dict[str, _Seen] = {}  # the oldest first
        self._urgent: dict[str, None] = {}
        self._turn: list[str] = []
        self._share = 0.0
        devices.subscribe(self)

    # -- as a listener

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Count an event; most kinds count for nothing."""
        if kind is DeviceEvent.PRESS:
            return  # the most frequent by far
        if kind is DeviceEvent.TAKE_STARTED:
            self._of(device_id).takes += 1
        elif kind is DeviceEvent.LEDS:
            self._of(device_id)  # another mode, perhaps
        elif kind is DeviceEvent.CONNECTED:
            seen = self._of(device_id)
            seen.connections += 1
            seen.address = cast(str, details[0])
            self._urgent[device_id] = None
        elif kind is DeviceEvent.GONE:
            self._of(device_id).gone = _sighting(cast(Device, details[0]), is_here=False)
            self._urgent[device_id] = None
        elif kind is DeviceEvent.REFUSED or (
            kind is DeviceEvent.TAKE_ENDED and details[-1] is not None
        ):
            self._of(device_id).errors += 1

    def changed(self, device_id: str) -> None:
        """Ignore other changes: the sighting of a disconnect has the last of them."""

    def _of(self, device_id: str) -> _Seen:
        seen = self._seen.get(device_id)
        if seen is None:
            seen = self._seen[device_id] = _Seen()
        return seen

    # -- for the inventory

    def due(self) -> Iterator[list[Sighting]]:
        """Give and forget the sightings that are due, a batch at a time."""
        self._look_round()
        before = trio.current_time() - SLOW_S
        slow = takewhile(lambda item: item[1].since <= before, self._seen.items())
        return self._batches({**self._urgent, **dict.fromkeys(device_id for device_id, _ in slow)})

    def all(self) -> Iterator[list[Sighting]]:
        """Give and forget all sightings, a batch at a time."""
        return self._batches(dict.fromkeys([*self._seen, *self._devices.by_id]))

    def of(self, device_id: str) -> list[Sighting]:
        """Give and forget the sighting of one device."""
        sighting = self._take(device_id)
        return [] if sighting is None else [sighting]

    def put_back(self, sightings: Iterable[Sighting]) -> None:
        """Count sightings again that were given in vain."""
        for one in sightings:
            seen = self._of(one.device_id)
            seen.connections += one.connections
            seen.takes += one.takes
            seen.errors += one.errors
            seen.address = seen.address or one.address
            seen.gone = seen.gone or (None if one.is_here else one)
            self._urgent[one.device_id] = None

    def _look_round(self) -> None:
        """Count a share of the devices as changed: LEDs are confirmed without an event."""
        self._turn = self._turn or list(self._devices.by_id)
        self._share += len(self._devices.by_id) * COLLECT_S / ROUND_S
        size = int(self._share)
        self._share -= size
        for device_id in self._turn[:size]:
            if device_id in self._devices.by_id:
                self._of(device_id)
        del self._turn[:size]

    def _batches(self, device_ids: Iterable[str]) -> Iterator[list[Sighting]]:
        left = iter(device_ids)
        while batch := list(islice(left, BATCH)):
            taken = (self._take(device_id) for device_id in batch)
            yield [one for one in taken if one is not None]

    def _take(self, device_id: str) -> Sighting | None:
        seen, device = self._seen.pop(device_id, None), self._devices.by_id.get(device_id)
        self._urgent.pop(device_id, None)
        if device is not None:
            seen = seen or _Seen()
            sighting = _sighting(device, is_here=True)
        elif seen is not None and seen.gone is not None:
            sighting = seen.gone
        else:
            return None
        return sighting._replace(
            address=seen.address or sighting.address,
            connections=seen.connections,
            takes=seen.takes,
            errors=seen.errors,
        )


def _sighting(device: Device, *, is_here: bool) -> Sighting:
    leds, peer = device.report.leds, device.peer
    return Sighting(
        device.id,
        round(time.time(), 3),
        device.came_ns,
        is_here,
        None if peer is None else str(peer),
        0,
        0,
        0,
        device.state.mode,
        None if leds is None else "".join(f"{colour >> 8:06x}" for colour in leds),
        device.firmware,
    )
