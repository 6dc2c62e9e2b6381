"""Servers on real sockets: in a test's own loop, or in a thread for commands that run their own."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from queue import Queue
from typing import Any, TypeAlias

import trio

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.rpc.server import Server
from audio_server.service.device_service import DeviceService

Serving: TypeAlias = Callable[[], AbstractAsyncContextManager[int]]
"""Opens a server; gives its port."""


@asynccontextmanager
async def serving(service: Any) -> AsyncIterator[int]:
    """Serve on a free port of this machine for as long as the block lasts."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(Server(service.__mapping__()).run, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def listening(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """Have each connection served by a function that knows no HTTP/2 but its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving_clips(*packets: list[bytes]) -> AsyncIterator[int]:
    """The product's own service with these clips."""
    clips = [Clip.from_packets(f"clip {n}", found) for n, found in enumerate(packets)]
    devices = Devices(clips, Rules(clips=len(clips)), 0.3)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with serving(DeviceService(devices)) as port:
            yield port
        nursery.cancel_scope.cancel()


@contextmanager
def in_thread(server: Serving) -> Iterator[int]:
    """Run a server in a thread of its own; gives its port."""
    started: Queue[tuple[int, trio.lowlevel.TrioToken, trio.Event]] = Queue()

    async def main() -> None:
        async with server() as port:
            stop = trio.Event()
            started.put((port, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    port, token, stop = started.get(timeout=30)
    try:
        yield port
    finally:
        token.run_sync_soon(stop.set)
        thread.join(5)
