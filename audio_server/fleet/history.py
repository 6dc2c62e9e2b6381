"""The latest events of each device.

It is a `Listener` of the devices, called in the midst of an event: it only appends to a list.
Texts and times are made on request.

Memory is bounded. A device has the last `KEPT` events, fewer where there are so many devices
that together they would have more than `KEPT_IN_ALL`, but never fewer than `KEPT_MIN` (about 150
bytes each). A list is made with the first event. Of devices that are gone, the last
`GONE_MAX` are remembered, with a snapshot of each. Of all devices together the last `LATEST`
events are at hand.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import Any, TypeAlias, cast

import trio

from audio_server.device.device import Device
from audio_server.device.events import DeviceEvent
from audio_server.fleet.change_tracker import ChangeTracker
from audio_server.fleet.event_numbers import PROCESSES, EventNumbers, next_after
from audio_server.fleet.event_text import details_of, text_of
from audio_server.fleet.interface import Event
from audio_server.fleet.snapshot import Snapshot
from audio_server.fleet.subscribers import BATCH, Subscribers

KEPT = 200
KEPT_MIN = 20
KEPT_IN_ALL = 200_000
LATEST = 1_000
GONE_MAX = 1_000

CLOCK_SET_S = 0.05

Entry: TypeAlias = tuple[Any, ...]
"""Number, time of the loop, kind and details."""


class History:
    """The events of one process; `worker` is its number. `subscribers` are given those that come.

    `look` learns which devices have changed. `numbers` are those of the cluster's events.
    """

    def __init__(
        self, look: ChangeTracker, worker: int = 0, numbers: EventNumbers | None = None
    ) -> None:
        self._look = look
        self._worker = worker
        self._numbers = numbers or EventNumbers()
        self._last = next_after(0, time.time())  # so that a server started again numbers on
        self._offset_s = 0.0
        self._entries: dict[str, list[Entry]] = {}
        self._room = KEPT
        self._latest: deque[tuple[str, Entry]] = deque(maxlen=LATEST)
        self._gone: OrderedDict[str, Snapshot] = OrderedDict()
        self.subscribers = Subscribers(self._told)

    # -- as a listener

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Append an event; events of a device that never connected are dropped."""
        if kind is DeviceEvent.CONNECTED:
            self._gone.pop(device_id, None)
            self._entries.setdefault(device_id, [])
            self._fit()
        elif kind is DeviceEvent.GONE:
            self._went(cast(Device, details[0]))
            details = details[1:]
        self._look.touch(device_id)
        if (entries := self._entries.get(device_id)) is not None:
            now = trio.current_time()
            self._last = next_after(self._last, self._epoch_offset_s() + now)
            entry = (self._last, now, kind, *details)
            entries.append(entry)
            if len(entries) > self._room:
                del entries[: -self._room]
            self._latest.append((device_id, entry))
            self.subscribers.note(device_id, entry)

    def changed(self, device_id: str) -> None:
        """Mark a device as changed."""
        self._look.touch(device_id)

    def _fit(self) -> None:
        """Fit the room of each device to the number of devices."""
        self._room = max(KEPT_MIN, min(KEPT, KEPT_IN_ALL // max(1, len(self._entries))))

    def _went(self, device: Device) -> None:
        seen = self._look.at(device)
        peer = None if seen.peer is None else str(seen.peer)
        self._gone[device.id] = seen._replace(peer=peer, streams=(), is_gone=True, playing=None)
        if len(self._gone) > GONE_MAX:
            device_id, _ = self._gone.popitem(last=False)
            self._entries.pop(device_id, None)
            self._fit()

    # -- queries

    def knows(self, device_id: str) -> bool:
        """Whether a device is connected, or was lately."""
        return device_id in self._entries

    def gone(self, device_id: str) -> Snapshot | None:
        """Return the last snapshot of a device that is gone."""
        return self._gone.get(device_id)

    def forget(self, device_id: str) -> None:
        """Drop the events of a device that is gone."""
        if self._gone.pop(device_id, None) is not None:
            self._entries.pop(device_id, None)

    async def of(self, device_id: str | None) -> list[Event]:
        """Return the events of one device or of all, oldest first, with checkpoints."""
        if device_id is None:
            return await self._words(list(self._latest))
        return await self._words([(device_id, one) for one in self._entries.get(device_id, ())])

    async def after(self, number: int | None) -> tuple[int, list[Event]]:
        """Return the number of the last event, and the events at hand after event `number`.
        Without a `number` return no events."""
        last = self._last
        if number is None:
            return last, []
        fresh = [(device_id, one) for device_id, one in self._latest if one[0] > number]
        return last, await self._words(fresh)

    async def _words(self, found: list[tuple[str, Entry]]) -> list[Event]:
        told = []
        for number, (key, entry) in enumerate(found, 1):
            told.append(self._told(key, entry))
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        return told

    def _told(self, device_id: str, entry: Entry) -> Event:
        number, at, kind, *details = entry
        return {
            "seq": self._numbers.of_all(number * PROCESSES + self._worker),
            "at": round(self._epoch_offset_s() + at, 3),
            "device": device_id,
            "kind": kind.value,
            "text": text_of(kind, details),
            **details_of(kind, details),
        }

    def _epoch_offset_s(self) -> float:
        """Return the offset from the loop's clock to seconds since 1970; it stays the same until
        the system's clock is set."""
        offset_s = time.time() - trio.current_time()
        if abs(offset_s - self._offset_s) > CLOCK_SET_S:
            self._offset_s = offset_s
        return self._offset_s
