"""The end of a worker: it answers the supervisor's questions about its devices.

Nothing is said unasked, so there is nothing that could pile up: a supervisor that does not read
has asked no more than a few questions.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec
import structlog
import trio

from audio_server.device.behaviour import Button
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices
from audio_server.fleet import actions
from audio_server.fleet.change_tracker import BATCH, ChangeTracker
from audio_server.fleet.history import History
from audio_server.fleet.ipc_client import ASKED_MAX, READ_BYTES, Clock
from audio_server.fleet.line_reader import LineReader
from audio_server.fleet.snapshot import Snapshot, facts

log = structlog.get_logger()

Parts: TypeAlias = AsyncGenerator[Any, None]


class IpcServer:
    """Worker number `worker`. From now on it keeps the history of its devices."""

    def __init__(self, devices: Devices, worker: int, *, clock: Clock = time.monotonic) -> None:
        self._devices = devices
        self._worker = worker
        self._clock = clock
        self._look = ChangeTracker(devices, worker)
        self._history = History(self._look, worker)
        self._sending = trio.Lock()
        self._looking = trio.Lock()
        self._answers: Mapping[str, Callable[..., Parts]] = {
            "ping": self._ping,
            "changes": self._changes,
            "rows": self._rows,
            "row": self._row,
            "events": self._events,
            "fresh": self._fresh,
            "press": self._press,
            "play": self._play,
            "stop": self._stop,
            "renamed": self._renamed,
        }
        devices.subscribe(self._history)

    async def run(self, stream: trio.abc.Stream) -> None:
        """Answer until the other end is closed or this is cancelled. Closes the stream.

        This is the edge where faults of questions end: devices go on, but are invisible.
        """
        lines = LineReader()
        try:
            async with stream, trio.open_nursery() as nursery:
                while data := await stream.receive_some(READ_BYTES):
                    for line in lines.feed(bytes(data)):
                        if len(nursery.child_tasks) < ASKED_MAX:
                            nursery.start_soon(self._answer, stream, *msgspec.json.decode(line))
                nursery.cancel_scope.cancel()
        except* trio.BrokenResourceError:
            log.debug("supervisor disconnected")
        except* Exception:
            log.exception("worker cannot be asked")

    async def _answer(
        self, stream: trio.abc.Stream, number: int, until: float, what: str, told: dict[str, Any]
    ) -> None:
        """Answer one question. This is the edge where faults of an answer end."""
        if self._clock() > until:
            return
        end = "done"
        try:
            async with aclosing(self._answers[what](**told)) as parts:
                async for part in parts:
                    await self._send(stream, [number, "part", part])
        except* trio.BrokenResourceError:
            raise
        except* Exception:
            log.exception("answer failed", asked=what)
            end = "failed"
        await self._send(stream, [number, end, None])

    async def _send(self, stream: trio.abc.Stream, message: Any) -> None:
        data = msgspec.json.encode(message) + b"\n"
        async with self._sending:
            await stream.send_all(data)

    # -- queries

    async def _ping(self) -> Parts:
        yield None

    async def _changes(self, anew: bool) -> Parts:
        async with self._looking:  # an answer that was given up may still be running
            if anew:
                self._look.forget()
            async with aclosing(self._look.changes()) as changes:
                async for part in changes:
                    yield part

    async def _rows(self) -> Parts:
        async with aclosing(self._look.batches()) as batches:
            async for batch in batches:
                yield [self._seen(seen) for seen in batch]

    async def _row(self, device_id: str) -> Parts:
        device = self._devices.by_id.get(device_id)
        seen = self._history.gone(device_id) if device is None else self._look.at(device)
        if seen is not None:
            yield [self._seen(seen)]

    def _seen(self, seen: Snapshot) -> tuple[str, int, dict[str, Any]]:
        return seen.device_id, seen.came_ns, facts(seen, self._worker)

    async def _events(self, device_id: str | None) -> Parts:
        told = await self._history.of(device_id)
        for start in range(0, len(told), BATCH):
            yield told[start : start + BATCH]

    async def _fresh(self, after: int | None) -> Parts:
        yield await self._history.after(after)

    # -- actions

    async def _press(self, device_id: str, button: str) -> Parts:
        yield {device_id: await actions.press(self._devices, device_id, Button[button])}

    async def _play(self, device_ids: list[str] | None, clip: int) -> Parts:
        yield await actions.play(self._devices, device_ids, clip)

    async def _stop(self, device_ids: list[str] | None) -> Parts:
        yield await actions.stop(self._devices, device_ids)

    async def _renamed(self, device_id: str, name: str | None) -> Parts:
        self._history.happened(device_id, DeviceEvent.RENAMED, name)
        yield {}
