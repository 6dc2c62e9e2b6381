"""Changes of thousands of devices since the last comparison, found without a long turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from math import ceil
from typing import NamedTuple

import msgspec
import trio

from audio_server.device.device import Device
from audio_server.device.registry import Devices
from audio_server.fleet.snapshot import Snapshot, facts, is_news, take_snapshot

LOOK_S = 0.25
"""Interval of comparisons, while there is a reader of changes."""

BATCH = 25
"""Devices that are compared between two checkpoints."""

LOOKS_A_ROUND = 8
"""Comparisons in which each device has its turn, changed or not."""

TOUCHED_MAX = 20_000


class EncodedRow(NamedTuple):
    """A row: the facts of a device as JSON without the braces, and the time when it connected last
    (`Snapshot`). The sender adds the id and the name."""

    came_ns: int
    text: str


class Changes(NamedTuple):
    """Rows that have changed, by the id of the device, and the ids of devices that are gone."""

    rows: dict[str, EncodedRow]
    gone: list[str]


class ChangeTracker:
    """Compares devices with their last snapshots, one pass after the other. `worker` is the number
    of this process, if there are several.

    A pass costs as much as there are changes: it compares the devices that were touched since the
    last one, and in turns a share of the others, since a take may pause without an event.
    """

    def __init__(self, devices: Devices, worker: int | None = None) -> None:
        self._devices = devices
        self._worker = worker
        self._seen: dict[str, Snapshot] = {}
        self._touched: set[str] | None = None  # None: all of them
        self._turn: list[str] = []

    def touch(self, device_id: str) -> None:
        """Mark a device as changed. Costs next to nothing, also without a reader."""
        if self._touched is not None:
            self._touched.add(device_id)
            if len(self._touched) > TOUCHED_MAX:
                self._touched = None

    def forget(self) -> None:
        """Have the next call of `changes` yield every device."""
        self._seen.clear()
        self._touched = None

    def at(self, device: Device) -> Snapshot:
        """Return a snapshot of one device."""
        clips, mode = device.profile.clips, device.state.mode
        return take_snapshot(device, clips[mode].name if mode < len(clips) else None)

    async def batches(self) -> AsyncGenerator[list[Snapshot], None]:
        """Yield snapshots of all devices, some at a time, with checkpoints."""
        device_ids = list(self._devices.by_id)
        for start in range(0, len(device_ids), BATCH):
            found = map(self._devices.by_id.get, device_ids[start : start + BATCH])
            yield [self.at(device) for device in found if device is not None]
            await trio.lowlevel.checkpoint()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """Yield the changes since the last call, some devices at a time."""
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
        """Return the devices to compare: the changed ones, and a share of the others."""
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
                    changes.rows[device_id] = EncodedRow(seen.came_ns, text)
        return changes
