"""A server in memory whose numbers can be read, and devices to be counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from grpclib.exceptions import GRPCError
from read_metrics import Read

from audio_server.assembly import make_devices
from audio_server.clips.clip import Clip
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.rpc.client import channel_over
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection
from audio_server.service.device_service import DeviceService
from audio_server.service.services import all_services
from audio_server.settings import Settings
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatusResponse,
)

_CONNECT, MODE, STOP, PLAY = (
    DeviceEvent(button_event=ButtonEvent(button_id=button))  # type: ignore[arg-type]
    for button in range(4)
)


def clip_of(packets: int) -> Clip:
    """A clip of so many packets, 100 bytes each."""
    return Clip.from_packets("clip", [b"x" * 100] * packets)


class Panel:
    """A device on one connection."""

    def __init__(self, stub: DeviceServiceStub, device_id: str) -> None:
        self._stub = stub
        self._metadata = {"device_id": device_id}
        self.events: Any = None
        self.heard = trio.Event()
        """Set when sound has come."""

    async def press(self, *events: DeviceEvent) -> None:
        """Press, each when the one before is acknowledged."""
        for event in events:
            await self.events.send_message(event)
            assert (await self.events.recv_message()).ack

    async def show(self, answer: DeviceStatusResponse | None) -> None:
        """Show LEDs, and answer each frame so."""
        async with self._stub.StatusStream.open(metadata=self._metadata) as call:
            async for _ in call:
                if answer is not None:
                    await call.send_message(answer)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """A block in which it takes sound."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._hear)
            yield
            nursery.cancel_scope.cancel()

    async def _hear(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with self._stub.ServerAudioStream.open(metadata=self._metadata) as call:
            await call.send_message(AudioStreamRequest(start=True), end=True)
            await trio.testing.wait_all_tasks_blocked()
            task_status.started()
            try:
                async for _ in call:
                    self.heard.set()
            except GRPCError:
                pass  # the test looks at what the server says of it


class House:
    """A server. `read` is what Prometheus would see."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._board = SharedRegistry()
        self.meter = self._board.row()
        self.devices = make_devices(Settings(), clips, meter=self.meter)
        self._services = all_services(DeviceService(self.devices), trio.Event())
        self._connections = 0

    @property
    def read(self) -> Read:
        return Read(self._board.text())

    @asynccontextmanager
    async def channel(self, limits: Limits | None = None) -> AsyncIterator[Any]:
        """One more connection."""
        self._connections += 1
        near, far = trio.testing.memory_stream_pair()
        connection = ServerConnection(
            self._services,
            far,
            limits=limits or Limits(),
            number=self._connections,
            meter=self.meter,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            async with channel_over(near) as channel:
                yield channel
        await trio.testing.wait_all_tasks_blocked()

    @asynccontextmanager
    async def device(self, device_id: str = "one") -> AsyncIterator[Panel]:
        """A device on a connection of its own, with its buttons."""
        async with self.channel() as channel:
            panel = Panel(DeviceServiceStub(channel), device_id)
            metadata = {"device_id": device_id}
            async with DeviceServiceStub(channel).EventStream.open(metadata=metadata) as events:
                panel.events = events
                await panel.press(_CONNECT)
                yield panel


@asynccontextmanager
async def open_house(*packets: int) -> AsyncIterator[House]:
    """A server with clips of so many packets."""
    context = House([clip_of(count) for count in packets or (100,)])
    async with trio.open_nursery() as nursery:
        await nursery.start(context.devices.run)
        yield context
        nursery.cancel_scope.cancel()
