"""What has changed on thousands of devices since the last look, found without holding up others."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import NamedTuple

import trio

from audio_server.device.device import Device
from audio_server.device.devices import Devices
from audio_server.fleet.glance import Glance, facts, glance, is_news

BATCH = 50
"""How many devices are looked at before others have their turn."""


class Told(NamedTuple):
    """A row: the facts of a device as JSON, without the braces, and the connection it was on then.
    Who tells it adds the id and the name."""

    connection: int
    text: str


class Changes(NamedTuple):
    """Rows that have changed, by the id of the device, and who is gone."""

    rows: Mapping[str, Told]
    gone: list[str]


class Look:
    """Looks at devices, one look after the other; not two at a time. `worker` is the number of
    this process, if there are several."""

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

    async def batches(self) -> AsyncGenerator[list[Glance], None]:
        """All devices, some at a time; others have their turn in between."""
        device_ids = list(self._devices.by_id)
        for start in range(0, len(device_ids), BATCH):
            found = map(self._devices.by_id.get, device_ids[start : start + BATCH])
            yield [self.at(device) for device in found if device is not None]
            await trio.lowlevel.checkpoint()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """What is new since the last look, some devices at a time."""
        async for batch in self.batches():
            if rows := dict(self._news(batch)):
                yield Changes(rows, [])
        gone = [device_id for device_id in self._seen if device_id not in self._devices.by_id]
        for device_id in gone:
            del self._seen[device_id]
        if gone:
            yield Changes({}, gone)

    def _news(self, batch: list[Glance]) -> Iterator[tuple[str, Told]]:
        for seen in batch:
            last = self._seen.get(seen.device_id)
            if last is None or is_news(last, seen):
                self._seen[seen.device_id] = seen
                text = json.dumps(facts(seen, self._worker))[1:-1]
                yield seen.device_id, Told(seen.connection, text)
