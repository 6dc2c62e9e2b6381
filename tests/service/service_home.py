"""The server without sockets, files or real time: everything from the wire inwards.

`Home` is a server's devices and service; `home.connect` is one more connection to it, through
memory; `home.device` is a device on a connection of its own, whose calls are attended. With an
autojump clock whatever it sees happens at exact times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import trio
import trio.testing
from panel import SUCCESS, Panel

from audio_server.assembly import make_devices
from audio_server.clips.clip import Clip
from audio_server.device.behaviour import State
from audio_server.device.leds import Frame, leds
from audio_server.device.registry import Devices
from audio_server.rpc.client import channel_over
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import serve_connection
from audio_server.service.device_service import DeviceService
from audio_server.settings import Settings
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import DeviceStatusResponse

PACKET_S = 0.02
LEAD_S = 0.3
PACKET_BYTES = 100


def clip_of(packets: int, name: str = "clip") -> Clip:
    """A clip whose packets tell where they are in it."""
    return Clip.from_packets(
        name, [f"{name}:{index}".ljust(PACKET_BYTES).encode() for index in range(packets)]
    )


FIVE = tuple(clip_of(packets, str(mode)) for mode, packets in enumerate((50, 25, 1, 500, 100)))


def frame(mode: int, *, playing: bool = False) -> Frame:
    """The LEDs of a state."""
    return leds(State(mode, playing=mode if playing else None))


CALLS = ("StatusStream", "EventStream", "ServerAudioStream")


class Home:
    """A server whose devices come through memory. `open_home` makes one that runs."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self.services = DeviceService(devices).__mapping__()
        self._connections = 0

    @asynccontextmanager
    async def connect(self, limits: Limits | None = None) -> AsyncIterator[Any]:
        """One more connection; gives the stub to call on it. `limits` are the device's own."""
        self._connections += 1
        near, far = trio.testing.memory_stream_pair()
        serve = partial(serve_connection, self.services, far, number=self._connections)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with channel_over(near, limits=limits) as channel:
                untyped: Any = channel
                yield DeviceServiceStub(untyped)

    @asynccontextmanager
    async def device(
        self,
        device_id: str = "one",
        *,
        calls: Sequence[str] = CALLS,
        limits: Limits | None = None,
        reads: bool = True,
        answer: DeviceStatusResponse | None = SUCCESS,
    ) -> AsyncIterator[Panel]:
        """A device that is on for as long as the block."""
        panel = Panel(answer=answer)
        if reads:
            panel.reads.set()
        async with AsyncExitStack() as stack:
            stub = await stack.enter_async_context(self.connect(limits))
            nursery = await stack.enter_async_context(trio.open_nursery())
            for name in calls:
                await panel.attend(name, stub, device_id, nursery)
            yield panel
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_home(
    clips: Sequence[Clip] = FIVE, *, devices: Devices | None = None, **settings: Any
) -> AsyncIterator[Home]:
    """A server that runs for as long as the block."""
    home = Home(devices or make_devices(Settings(**settings), clips))
    async with trio.open_nursery() as nursery:
        await nursery.start(home.devices.run)
        yield home
        nursery.cancel_scope.cancel()
