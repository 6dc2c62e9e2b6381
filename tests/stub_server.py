"""A server of the contract in memory, whose every word a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import memory_stream_pair

from audio_server.rpc.client import Channel, channel_over
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection
from audio_server.wire.comms_grpc import DeviceServiceBase
from audio_server.wire.comms_pb2 import DeviceEventResponse


class StubService(DeviceServiceBase):
    """Keeps what a device says; `log` is what it did, in order. Override what should differ."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.heard: list[Any] = []
        self.calls: dict[str, Any] = {}
        self.acks = trio.Semaphore(1000)

    @asynccontextmanager
    async def _call(self, name: str, call: Any) -> AsyncIterator[None]:
        self.log.append(f"{name} from {call.metadata['device_id']}")
        self.calls[name] = call
        try:
            yield
        except BaseException:
            self.log.append(f"{name} cancelled")
            raise

    async def StatusStream(self, call: Any) -> None:  # noqa: N802
        async with self._call("status", call):
            async for answer in call:
                self.heard.append(answer)

    async def EventStream(self, call: Any) -> None:  # noqa: N802
        async with self._call("events", call):
            async for event in call:
                self.heard.append(event)
                await self.acks.acquire()
                await call.send_message(DeviceEventResponse(ack=event.HasField("button_event")))

    async def ServerAudioStream(self, call: Any) -> None:  # noqa: N802
        async with self._call("audio", call):
            self.heard.append(await call.recv_message())
            await trio.sleep_forever()


class StubServer:
    """Accepts connections in memory. `reachable` False refuses them."""

    def __init__(
        self,
        service: Any,
        nursery: trio.Nursery,
        *,
        closed: Callable[[], None] = lambda: None,
        devices: Any = None,
    ) -> None:
        self.service = service
        self.devices = devices
        self.closed = closed
        self.reachable = True
        self.transports: list[trio.abc.Stream] = []
        self._nursery = nursery

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Channel]:
        if not self.reachable:
            raise OSError("refused")
        near, far = memory_stream_pair()
        number = len(self.transports) + 1
        self.transports.append(far)
        connection = ServerConnection(
            self.service.__mapping__(), far, limits=Limits(), number=number
        )
        self._nursery.start_soon(connection.run)
        async with channel_over(near) as channel:
            yield channel
        self.closed()
