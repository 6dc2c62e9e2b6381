"""All devices, live: what has changed since the last look, told to every page at once.

One task looks at the devices a few times a second, and only while somebody watches. Whoever is
too slow to take what changes is let go; the page comes back by itself and begins anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import trio

from audio_server.device.device import Device, Report, Status
from audio_server.device.devices import Devices
from audio_server.device.rules import Button
from audio_server.web.house import Title

LOOK_S = 0.25
BATCH = 50
"""How many devices are looked at before others have their turn."""

WATCHERS_MAX = 32
BEHIND_MAX = 20
DRIFT_S = 0.3
"""How far the clock of a take may be off before a page is told: a take can pause."""

Watcher: TypeAlias = trio.MemorySendChannel[bytes]


@dataclass(slots=True)
class Row:
    """What was last told of a device. Equal parts mean that there is nothing to tell."""

    status: Status
    report: Report
    since: float
    last_press: tuple[Button, float] | None
    started: float | None
    text: str


class Fleet:
    """`run` must be running while somebody is `watching`."""

    def __init__(self, devices: Devices, titles: Sequence[Title]) -> None:
        self._devices = devices
        self._titles = titles
        self._rows: dict[str, Row] = {}
        self._watchers: dict[Watcher, bool] = {}  # and whether it has had all rows
        self._watched = trio.Event()

    async def run(self) -> NoReturn:
        """Look at the devices for ever, while somebody watches. A cancel ends all watching."""
        try:
            while True:
                await self._watched.wait()
                await self._tell()
                await trio.sleep(LOOK_S)
        finally:
            for watcher in self._watchers:
                watcher.close()

    @contextmanager
    def watching(self) -> Iterator[trio.MemoryReceiveChannel[bytes]]:
        """Server-sent events: all devices first, then what changes. They end with `run`, and for
        whoever does not take them."""
        send, receive = trio.open_memory_channel[bytes](BEHIND_MAX)
        self._watchers[send] = False
        self._watched.set()
        try:
            yield receive
        finally:
            self._let_go(send)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may watch."""
        return len(self._watchers) >= WATCHERS_MAX

    async def _tell(self) -> None:
        rows, gone = await self._look()
        changes = _event("changes", rows, gone) if rows or gone else None
        everything: bytes | None = None
        for watcher, has_all in list(self._watchers.items()):
            if has_all and changes:
                self._send(watcher, changes)
            elif not has_all:
                everything = everything or _event("all", self._texts(), [])
                self._send(watcher, everything)

    def _texts(self) -> list[str]:
        return [row.text for row in self._rows.values()]

    def _send(self, watcher: Watcher, event: bytes) -> None:
        try:
            watcher.send_nowait(event)
            self._watchers[watcher] = True
        except trio.WouldBlock:
            self._let_go(watcher)

    def _let_go(self, watcher: Watcher) -> None:
        watcher.close()
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._watched = trio.Event()

    async def _look(self) -> tuple[list[str], list[str]]:
        """The rows that have changed, and the ids of devices that are gone."""
        changed = []
        for number, device in enumerate(list(self._devices.by_id.values()), 1):
            if self._has_changed(device):
                changed.append(self._rows[device.id].text)
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        gone = [device_id for device_id in self._rows if device_id not in self._devices.by_id]
        for device_id in gone:
            del self._rows[device_id]
        return changed, gone

    def _has_changed(self, device: Device) -> bool:
        row, started = self._rows.get(device.id), _started(device)
        if row is not None and _is_same(row, device, started):
            return False
        self._rows[device.id] = Row(
            device.status.value,
            device.report,
            device.since,
            device.last_press,
            started,
            json.dumps(self._facts(device, started)),
        )
        return True

    def _facts(self, device: Device, started: float | None) -> dict[str, Any]:
        """A row as pages get it; times are seconds since 1970, LEDs 0xRRGGBBAA."""
        state, press = device.state, device.last_press
        return {
            "id": device.id,
            "since": _wall(device.since),
            "mode": state.mode,
            "name": self._title(state.mode).name,
            "playing": None if state.playing is None else self._title(state.playing),
            "started": None if started is None else _wall(started),
            "error": state.error,
            "leds": device.status.value.frame.leds,
            "press": press and {"button": press[0].name.lower(), "at": _wall(press[1])},
            "battery": device.report.battery,
        }

    def _title(self, mode: int) -> Title:
        return self._titles[mode] if mode < len(self._titles) else Title("", 0.0)


def _started(device: Device) -> float | None:
    """When the take that plays would have begun, had it never paused."""
    position = device.position
    return None if position is None else trio.current_time() - position.played_s


def _is_same(row: Row, device: Device, started: float | None) -> bool:
    if row.status is not device.status.value or row.report is not device.report:
        return False
    if row.since != device.since or row.last_press != device.last_press:
        return False
    if row.started is None or started is None:
        return row.started is started
    return abs(row.started - started) < DRIFT_S


def _wall(at: float) -> float:
    return round(time.time() - trio.current_time() + at, 2)


def _event(name: str, rows: list[str], gone: list[str]) -> bytes:
    data = f'{{"rows": [{", ".join(rows)}], "gone": {json.dumps(gone)}}}'
    return f"event: {name}\ndata: {data}\n\n".encode()
