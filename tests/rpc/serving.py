"""A server connection on an in-memory stream, and handlers to serve with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from grpclib.const import Cardinality, Handler
from raw_peer import ECHO, RawPeer

from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection, Services
from audio_server.wire.comms_pb2 import AudioPacket

HandlerFunc = Callable[[Any], Awaitable[None]]
Pair = Callable[[], tuple[Any, Any]]

# PINGs of a test's own are not what most tests are about.
LENIENT = Limits()


def service(
    func: HandlerFunc, cardinality: Cardinality = Cardinality.STREAM_STREAM
) -> dict[str, Handler]:
    """One method, `ECHO`, of `AudioPacket`s in and out."""
    return {ECHO: Handler(func, cardinality, AudioPacket, AudioPacket)}


def packet(size: int, fill: bytes = b"x") -> bytes:
    """An `AudioPacket` of `size` bytes or, where none is so small or so long, one byte fewer."""
    for length in range(size, -1, -1):
        message = AudioPacket(data=fill * length).SerializeToString()
        if len(message) <= size:
            return message
    raise ValueError(size)


async def echo(call: Any) -> None:
    """Send back what comes, until the client ends."""
    async for message in call:
        await call.send_message(message)


async def never(call: Any) -> None:
    """Read nothing, end never."""
    await trio.sleep_forever()


class Served:
    """What a test may look at."""

    def __init__(self, peer: RawPeer, connection: ServerConnection) -> None:
        self.peer = peer
        self.connection = connection
        self.ended = trio.Event()


@asynccontextmanager
async def serving(
    services: Services | HandlerFunc = echo,
    *,
    limits: Limits = LENIENT,
    pair: Pair = trio.testing.memory_stream_pair,
    settings: dict[int, int] | None = None,
    greet: bool = True,
) -> AsyncIterator[Served]:
    """A connection that is being served.

    At its end the peer is gone, and nothing may be left.
    """
    ours, theirs = pair()
    if callable(services):
        services = service(services)
    connection = ServerConnection(services, theirs, limits=limits, number=1)
    served = Served(RawPeer(ours), connection)

    async def run() -> None:
        await connection.run()
        served.ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        if greet:
            await served.peer.greet(settings)
        yield served
        await trio.aclose_forcefully(ours)
        with trio.fail_after(60):
            await served.ended.wait()
    # That no task is left is seen to by the nursery in which the connection runs.
    assert not connection.streams
