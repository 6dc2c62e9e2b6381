"""Devices that come back by themselves, as cheap as the load side of the benchmark."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import trio

from audio_server.wire.comms_pb2 import DeviceStatusSet
from benchmarks.cluster.processes import PATIENCE_S, until
from benchmarks.frames import Button, opening
from benchmarks.player import Player
from benchmarks.tally import Tally

BYTES = 65_536

AGAIN_S = 0.05
"""A device that has lost its connection is back within this, by chance."""

BACKOFF_S, BACKOFF_RATE, BACKOFF_MAX_S = 1.0, 1.6, 120.0
"""Pauses of gRPC after attempts that failed; 20 % more or less by chance."""


class Device:
    """A device on one connection at a time. Times are of `time.monotonic`."""

    def __init__(self, device_id: str, port: int) -> None:
        self.id = device_id
        self.port = port
        self.tally = Tally()
        self.player = Player(self.tally)
        self.expected = 0
        """The mode that it is to show."""
        self.came: list[float] = []
        """When each connection was ready."""
        self.over, self.over_at = trio.Event(), 0.0
        self._stream: trio.SocketStream | None = None
        self._sending = trio.Lock()
        self._news = trio.Event()
        self._arrived = trio.Event()

    async def wait_again(self, before: int) -> None:
        """Return when it has come more than `before` times."""
        with trio.fail_after(PATIENCE_S):
            while len(self.came) <= before:
                await self._arrived.wait()

    async def live(self) -> None:
        """Be switched on until cancelled."""
        pause_s = BACKOFF_S
        while True:
            try:
                self._stream = await trio.open_tcp_stream("127.0.0.1", self.port)
                with suppress(trio.BrokenResourceError):
                    async with self._stream:
                        await self._attend(self._stream)
            except OSError:
                pass
            if self.player.ready:
                pause_s = BACKOFF_S
                await trio.sleep(random.uniform(0, AGAIN_S))
            else:
                await trio.sleep(pause_s * random.uniform(0.8, 1.2))
                pause_s = min(pause_s * BACKOFF_RATE, BACKOFF_MAX_S)

    async def live_once(self) -> None:
        """Be switched on until the server ends the calls; then `over` is set."""
        self._stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        with suppress(trio.BrokenResourceError):
            async with self._stream:
                await self._attend(self._stream)
        self.over_at = time.monotonic()
        self.over.set()

    async def _attend(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        player = self.player = Player(self.tally, time.monotonic())
        player.out += opening(self.id, f"127.0.0.1:{self.port}")
        while not player.ended:
            await self._flush(stream)
            if not (data := await stream.receive_some(BYTES)):
                return
            was_ready = player.ready
            data = player.rest + data
            player.feed(data, len(data), time.monotonic())
            if player.ready and not was_ready:
                self.came.append(time.monotonic())
                self._arrived.set()
                self._arrived = trio.Event()
            self._news.set()
            self._news = trio.Event()

    async def _flush(self, stream: trio.SocketStream) -> None:
        async with self._sending:
            data, self.player.out = bytes(self.player.out), bytearray()
            if data:
                await stream.send_all(data)

    async def press(self, *buttons: Button) -> None:
        """Press, one after the other, and return when all are acknowledged."""
        assert self._stream is not None
        player = self.player
        player.press(time.monotonic(), *buttons)
        await self._flush(self._stream)
        with trio.fail_after(PATIENCE_S):
            while player.waits or player.script:
                await self._news.wait()
                if player.ended:
                    raise ConnectionError

    @property
    def local_port(self) -> int:
        """The port of its connection."""
        assert self._stream is not None
        port: int = self._stream.socket.getsockname()[1]
        return port

    @property
    def mode(self) -> int:
        """The mode that its LEDs show, of 0 to 4."""
        leds = DeviceStatusSet.FromString(self.player.leds[1:])
        lit = [bool(getattr(leds, f"led_{number}").rgba) for number in (2, 3, 4, 5)]
        return lit.index(True) + 1 if any(lit) else 0

    async def be_right(self) -> float:
        """Return the time at which the device, on a new connection, shows what it is to show."""
        while True:
            with suppress(ConnectionError, trio.BrokenResourceError, trio.ClosedResourceError):
                await self._wait(lambda: self.player.ready and not self.player.ended)
                await self.press(Button.CONNECT)  # ends the start-up sequence
                await self._wait(lambda: self.player.ended or self.mode == self.expected)
                if not self.player.ended:
                    return time.monotonic()
            await trio.sleep(0.005)

    async def _wait(self, is_so: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not is_so():
                with trio.move_on_after(0.1):
                    await self._news.wait()


async def switch_on(devices: Iterable[Device], nursery: trio.Nursery, each_s: float = 0.0) -> None:
    """Have devices live in the nursery, one after the other; return when all are ready."""
    all_of_them = list(devices)
    for device in all_of_them:
        nursery.start_soon(device.live)
        await trio.sleep(each_s)
    await until(lambda: all(device.came for device in all_of_them))


async def select(device: Device, mode: int) -> None:
    """Go from home to a mode."""
    device.expected = mode
    await device.press(*[Button.MODE] * mode)
