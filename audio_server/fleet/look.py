"""What has changed on thousands of devices since the last look, found without holding up others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import trio

from audio_server.device.device import Device
from audio_server.device.devices import Devices
from audio_server.fleet.glance import Glance, facts, glance, is_news

BATCH = 50
"""How many devices are looked at before others have their turn."""


class Changes(NamedTuple):
    """Rows that have changed (see `row_text`), by the id of the device, and who is gone."""

    rows: dict[str, str]
    gone: list[str]


class Look:
    """Looks at devices, one look after the other; not two at a time."""

    def __init__(self, devices: Devices, worker: int | None = None) -> None:
        self._devices = devices
        self._worker = worker
        self._seen: dict[str, Glance] = {}

    def forget(self) -> None:
        """The next look tells everything."""
        self._seen.clear()

    def at(self, device: Device) -> Glance:
        """One device now."""
        clips, mode = self._devices.clips, device.state.mode
        return glance(device, clips[mode].name if mode < len(clips) else None)

    async def each(self) -> AsyncIterator[Glance]:
        """All devices that were there when it began, and still are."""
        for number, device in enumerate(list(self._devices.by_id.values()), 1):
            yield self.at(device)
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()

    async def changes(self) -> Changes:
        """What is new since the last look."""
        rows = {}
        for number, device in enumerate(list(self._devices.by_id.values()), 1):
            seen, last = self.at(device), self._seen.get(device.id)
            if last is None or is_news(last, seen):
                self._seen[device.id] = seen
                rows[device.id] = row_text(seen, self._worker)
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        gone = [device_id for device_id in self._seen if device_id not in self._devices.by_id]
        for device_id in gone:
            del self._seen[device_id]
            rows.pop(device_id, None)
        return Changes(rows, gone)


def row_text(seen: Glance, worker: int | None) -> str:
    """The facts of a row as JSON, without the braces: who tells it adds the id and the name."""
    return json.dumps(facts(seen, worker))[1:-1]
