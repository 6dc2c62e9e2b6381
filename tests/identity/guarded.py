"""A server that asks who is there, and devices that say so in one way or another."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.app import serve_until
from audio_server.rpc.client import open_channel
from audio_server.settings import Settings
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent

MODE = DeviceEvent(button_event=ButtonEvent(button_id=ButtonEvent.BUTTON_2))

CALLS = ("StatusStream", "EventStream", "ServerAudioStream")


class Running:
    """A server on a free port of this machine. `stop` drains it."""

    def __init__(self) -> None:
        self.port = 0
        self.stop = trio.Event()
        self.stopped = trio.Event()

    async def run(self, settings: Settings, *, task_status: trio.TaskStatus[int]) -> None:
        await serve_until(self.stop, settings, task_status=task_status)
        self.stopped.set()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """Serve as long as the block lasts."""
    server = Running()
    async with trio.open_nursery() as nursery:
        server.port = await nursery.start(server.run, settings)
        yield server
        nursery.cancel_scope.cancel()


class Caller:
    """A device's connection: `press` on its event call, or `ask` by any."""

    def __init__(self, channel: Any, device_id: str, token: str | None) -> None:
        self._channel = channel
        self._stub = DeviceServiceStub(channel)
        self._metadata = {"device_id": device_id}
        if token is not None:
            self._metadata["authorization"] = f"Bearer {token}"

    def as_device(self, device_id: str, token: str) -> Caller:
        """Another device on the same connection."""
        return Caller(self._channel, device_id, token)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Any]:
        """The event call."""
        async with self._stub.EventStream.open(metadata=self._metadata) as call:
            yield call

    async def ask(self, name: str = "EventStream") -> tuple[Status, str | None]:
        """Open a call and press Mode, or wait for the first message: what that is answered."""
        try:
            async with getattr(self._stub, name).open(metadata=self._metadata) as call:
                if name == "EventStream":
                    await press(call)
                else:
                    await call.recv_message()
        except GRPCError as error:
            return error.status, error.message
        return Status.OK, None


async def press(call: Any) -> bool:
    """Press Mode; whether it was acknowledged."""
    await call.send_message(MODE)
    reply = await call.recv_message()
    return bool(reply.ack)


@asynccontextmanager
async def device(
    server: Running,
    device_id: str,
    *,
    context: ssl.SSLContext | None = None,
    token: str | None = None,
) -> AsyncIterator[Caller]:
    """Connect as a device."""
    async with open_channel("127.0.0.1", server.port, ssl_context=context) as channel:
        yield Caller(channel, device_id, token)
