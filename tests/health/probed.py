"""A server with all that is asked of it, on a port of this machine; and grpcio to ask with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import trio

from audio_server.app import serve_until
from audio_server.settings import Settings

SHIPPED = Path(__file__).parents[2] / "clips"
WITHIN_S = 30.0

T = TypeVar("T")


class Probed:
    """A server that runs. `stop` drains it."""

    def __init__(self, port: int, stop: trio.Event) -> None:
        self.port = port
        self.stop = stop

    async def ask(self, question: Callable[[grpc.Channel], T]) -> T:
        """What a client of grpcio is answered, on a connection of its own."""

        def run() -> T:
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                return question(channel)

        return await trio.to_thread.run_sync(run)


@asynccontextmanager
async def probed(cache: Path, **settings: Any) -> AsyncIterator[Probed]:
    """Serve for as long as the block."""
    stop = trio.Event()
    given = {"data": None, "http": "off", **settings}
    wanted = Settings(port=0, clips=SHIPPED, cache=cache, **given)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(lambda **k: serve_until(stop, wanted, **k))
        yield Probed(port, stop)
        nursery.cancel_scope.cancel()


def unary(channel: grpc.Channel, path: str, request: Any, reply: Any) -> Any:
    """The answer to one request; raises `grpc.RpcError`."""
    method = channel.unary_unary(
        path, request_serializer=_serialized, response_deserializer=reply.FromString
    )
    return method(request, timeout=WITHIN_S)


def stream(channel: grpc.Channel, path: str, requests: Any, reply: Any, **metadata: str) -> Any:
    """The answers to requests, one after the other."""
    method = channel.stream_stream(
        path, request_serializer=_serialized, response_deserializer=reply
    )
    return method(iter(requests), timeout=WITHIN_S, metadata=list(metadata.items()))


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
