"""What has changed on thousands of devices since the last look, found without holding up others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from math import ceil
from typing import NamedTuple

import msgspec
import trio

from audio_server.device.device import Device
from audio_server.device.registry import Devices
from audio_server.fleet.snapshot import Snapshot, facts, glance, is_news

BATCH = 25
"""How many devices are looked at before others have their turn."""

LOOKS_A_ROUND = 8
"""In so many looks each device is looked at, whatever happens."""

TOUCHED_MAX = 20_000


class Told(NamedTuple):
    """A row: the facts of a device as JSON, without the braces, and the connection it was on then.
    Who tells it adds the id and the name."""

    connection: int
    text: str


class Changes(NamedTuple):
    """Rows that have changed, by the id of the device, and who is gone."""

    rows: dict[str, Told]
    gone: list[str]


class ChangeTracker:
    """Looks at devices, one look after the other; not two at a time. `worker` is the number of
    this process, if there are several.

    A look costs as much as there is news: it is at those devices that were `touched` since the
    one before, and in turns at some of the others, for a take may pause without a word.
    """

    def __init__(self, devices: Devices, worker: int | None = None) -> None:
        self._devices = devices
        self._worker = worker
        self._seen: dict[str, Snapshot] = {}
        self._touched: set[str] | None = None  # None: all of them
        self._turn: list[str] = []

    def touch(self, device_id: str) -> None:
        """Something has happened to a device. Costs next to nothing, also when nobody looks."""
        if self._touched is not None:
            self._touched.add(device_id)
            if len(self._touched) > TOUCHED_MAX:
                self._touched = None

    def forget(self) -> None:
        """The next look tells everything."""
        self._seen.clear()
        self._touched = None

    def at(self, device: Device) -> Snapshot:
        """One device now."""
        clips, mode = self._devices.clips, device.state.mode
        return glance(device, clips[mode].name if mode < len(clips) else None)

    async def batches(self) -> AsyncGenerator[list[Snapshot], None]:
        """All devices, some at a time; others have their turn in between."""
        device_ids = list(self._devices.by_id)
        for start in range(0, len(device_ids), BATCH):
            found = map(self._devices.by_id.get, device_ids[start : start + BATCH])
            yield [self.at(device) for device in found if device is not None]
            await trio.lowlevel.checkpoint()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """What is new since the last look, some devices at a time."""
        due, is_whole = self._due(), False
        try:
            for start in range(0, len(due), BATCH):
                changes = self._changes(due[start : start + BATCH])
                if changes.rows or changes.gone:
                    yield changes
                await trio.lowlevel.checkpoint()
            is_whole = True
        finally:
            if not is_whole:
                self._touched = None

    def _due(self) -> list[str]:
        """Which devices to look at."""
        touched, self._touched = self._touched, set()
        if touched is None:
            self._turn = []
            return list({**self._seen, **self._devices.by_id})
        self._turn = self._turn or list(self._devices.by_id)
        size = ceil(len(self._devices.by_id) / LOOKS_A_ROUND)
        touched.update(self._turn[:size])
        del self._turn[:size]
        return list(touched)

    def _changes(self, device_ids: list[str]) -> Changes:
        changes = Changes({}, [])
        for device_id in device_ids:
            device, last = self._devices.by_id.get(device_id), self._seen.get(device_id)
            if device is None and last is not None:
                del self._seen[device_id]
                changes.gone.append(device_id)
            elif device is not None:
                seen = self.at(device)
                if last is None or is_news(last, seen):
                    self._seen[device_id] = seen
                    text = msgspec.json.encode(facts(seen, self._worker))[1:-1].decode()
                    changes.rows[device_id] = Told(seen.connection, text)
        return changes
