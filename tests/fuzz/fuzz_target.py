"""What any bytes of a peer are put to: a server with another device that must not notice."""

from __future__ import annotations

import time
from collections.abc import MutableMapping, Sequence
from functools import partial
from typing import Any

import structlog
import trio
from trio.testing import MockClock, memory_stream_pair

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection
from audio_server.service.device_service import DeviceService
from benchmarks.frames import Button, opening
from benchmarks.player import Player
from benchmarks.tally import Tally

CLIPS = [Clip.from_packets(f"clip {n}", [b"\xf8" + bytes(99)] * n) for n in (500, 1, 50, 2, 100)]
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)
_LONGEST_S = 70.0
"""In which a peer that does nothing more is gone: no call for 60 s, or no answer to a PING."""


class Healthy:
    """A device on another connection, which presses buttons all the time."""

    def __init__(self, stream: Any) -> None:
        self.tally = Tally()
        self.player = Player(self.tally)
        self.presses = 0
        self._stream = stream
        self._sending = trio.Lock()

    async def listen(self) -> None:
        """Take what comes, and answer it."""
        while data := await self._stream.receive_some():
            data = self.player.rest + bytes(data)
            self.player.feed(data, len(data), time.monotonic())
            await self.flush()

    async def flush(self) -> None:
        """Send what it has to say."""
        async with self._sending:
            out = bytes(self.player.out)
            self.player.out.clear()
            if out:
                await self._stream.send_all(out)

    async def press(self, button: Button) -> None:
        """Press, and expect the ack, and what comes of it, at once."""
        self.player.press(time.monotonic(), button)
        self.presses += 1
        await self.flush()
        await trio.sleep(0.05)
        assert len(self.tally.acks) == self.presses, "an ack is missing"
        assert not self.player.waits, "a take did not begin or end"


async def _say(stream: Any, pieces: Sequence[bytes], pause_s: float) -> None:
    """Say it all, reading what comes back; be gone when the server is."""

    async def read() -> None:
        try:
            while await stream.receive_some():
                pass
        except GONE:
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            for piece in pieces:
                await stream.send_all(piece)
                await trio.sleep(pause_s)
        except GONE:
            pass
        nursery.cancel_scope.cancel()


async def _endure(pieces: Sequence[bytes], pause_s: float, stays: bool) -> None:
    devices = Devices(CLIPS, Rules(clips=len(CLIPS)), 0.3)
    services = DeviceService(devices).__mapping__()
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        beside, far = memory_stream_pair()
        other = ServerConnection(services, far, limits=Limits(), number=1)
        nursery.start_soon(other.run)
        healthy = Healthy(beside)
        healthy.player.out += opening("healthy", "fuzz")
        await healthy.flush()
        nursery.start_soon(healthy.listen)
        await healthy.press(Button.PLAY)

        near, far = memory_stream_pair()
        connection = ServerConnection(services, far, limits=Limits(), number=2)
        async with trio.open_nursery() as fuzzed:
            fuzzed.start_soon(connection.run)
            await _say(near, pieces, pause_s)
            await healthy.press(Button.STOP)
            await healthy.press(Button.PLAY)
            if not stays:
                await trio.aclose_forcefully(near)
            fuzzed.cancel_scope.deadline = trio.current_time() + _LONGEST_S
        assert not fuzzed.cancel_scope.cancelled_caught, "the connection did not end"
        await healthy.press(Button.STOP)
        await trio.testing.wait_all_tasks_blocked()
        assert not connection.streams, "calls are left"
        assert set(devices.by_id) == {"healthy"}, "devices are left"
        assert not other.http2._dead
        assert dict(healthy.tally.faults) == {}
        nursery.cancel_scope.cancel()


def endure(pieces: Sequence[bytes], *, pause_s: float = 0.0, stays: bool = False) -> None:
    """Say `pieces` to a server, then be gone, or (`stays`) silent.

    Raises `AssertionError` if the server does anything but serve or end that connection, if the
    device beside it notices, or if a fault of the server is logged; and what the server raises.
    """
    faults: list[str] = []

    def note(_: object, level: str, event: MutableMapping[str, Any]) -> str:
        if level in ("error", "critical", "exception"):
            faults.append(f"{event['event']}: {event.get('exc_info')}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note])
    try:
        run = partial(_endure, pieces, pause_s, stays)
        trio.run(run, clock=MockClock(autojump_threshold=0))
    finally:
        structlog.configure(**before)
    assert faults == []
