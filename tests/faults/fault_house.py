"""The real server on a real socket of this process, and stock devices that are watched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from ssl import SSLContext

import trio

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.rpc.client import open_channel
from audio_server.rpc.server import Securing, Server
from audio_server.service.device_service import DeviceService
from audio_server.service.serving import serve_on
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import Connected, Disconnected, Event, PacketReceived
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.scripted import tick
from audio_server.simulator.verdict import Limits, Rule

PACKET = b"\xf8" + bytes(99)  # 20 ms of Opus, mono, by its first byte
SECONDS = (0.5, 3.0, 0.02, 1.0, 30.0)
_USUAL = (Button.PLAY, Button.PLAY, Button.MODE, Button.STOP, Button.CONNECT)


def clips() -> list[Clip]:
    """A clip for each mode, of `SECONDS`."""
    return [Clip.from_packets(f"clip {s}", [PACKET] * round(s * 50)) for s in SECONDS]


async def wait_until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """Return when it holds. Raises `trio.TooSlowError` if it does not come to."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells when a count is back
            await trio.sleep(0.005)


class House:
    """A server that runs: where it listens, and what it holds."""

    def __init__(self, port: int, server: Server, devices: Devices) -> None:
        self.port = port
        self.server = server
        self.devices = devices

    @property
    def connections(self) -> int:
        """How many connections the server has."""
        return len(self.server._connections)


@asynccontextmanager
async def open_house(
    *, stop: trio.Event | None = None, secure: Securing | None = None
) -> AsyncIterator[House]:
    """A server for as long as the block; it drains when `stop` is set."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with serving_on(listeners, stop=stop, secure=secure) as house:
        yield house


@asynccontextmanager
async def serving_on(
    listeners: list[trio.SocketListener],
    *,
    stop: trio.Event | None = None,
    secure: Securing | None = None,
) -> AsyncIterator[House]:
    """`open_house` on listeners that are there already."""
    stop = trio.Event() if stop is None else stop
    devices = Devices(clips(), Rules(clips=len(SECONDS)), 0.3)
    server = Server(DeviceService(devices).__mapping__(), secure=secure)
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_on, listeners, server, devices, stop, 1.0)
        yield House(port, server, devices)
        nursery.cancel_scope.cancel()


class Watched:
    """A device that reconnects, an oracle that watches it, and somebody at its buttons.

    `network_fails`: a lost connection is the network's doing, and the oracle does not get to hear
    whose fault it was.
    """

    def __init__(
        self,
        name: str,
        port: int,
        limits: Limits,
        *,
        network_fails: bool = False,
        context: SSLContext | None = None,
    ) -> None:
        connect = partial(open_channel, "127.0.0.1", port, ssl_context=context)
        self.device = VirtualDevice(name, connect)
        self.oracle = Oracle(limits, modes=len(SECONDS))
        self.connections = 0
        self.takes = 0
        self._network_fails = network_fails
        self._random = Random(name)
        self.device.observers.append(self._observe)

    def _observe(self, at_s: float, event: Event) -> None:
        self.connections += isinstance(event, Connected)
        self.takes += isinstance(event, PacketReceived) and event.is_start
        if isinstance(event, Disconnected) and self._network_fails:
            event = Disconnected()
        self.oracle.feed(at_s, event)

    def broken(self, *forgiven: Rule) -> list[str]:
        """What the server did wrong, but for rules that the network cannot let it keep."""
        return [str(v) for v in self.oracle.violations if v.rule not in forgiven]

    async def live(self, seconds: float) -> None:
        """Be used for so long, then be switched off."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.device.run)
            nursery.start_soon(tick, self.oracle)
            self.device.switch_on()
            with trio.move_on_after(seconds):
                await self._use()
            self.device.switch_off()
            await self.device.wait_off()
            nursery.cancel_scope.cancel()

    async def _use(self) -> None:
        self.device.press(Button.PLAY)
        while True:
            await trio.sleep(self._random.uniform(0.05, 0.5))
            if not self.device.queued:
                self.device.press(self._random.choice(_USUAL))
