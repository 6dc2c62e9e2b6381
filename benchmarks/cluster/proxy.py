"""A proxy at layer 4: each connection goes to the node with the fewest, or else to another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

BYTES = 65_536


class Proxy:
    """A port before those of `nodes`; what passes is held for `delay_s()` first, in both ways."""

    def __init__(self, nodes: Sequence[int], delay_s: Callable[[], float] | None = None) -> None:
        self.port = 0
        self.nodes = list(nodes)
        self.connections: Counter[int] = Counter()
        self.node_of: dict[int, int] = {}
        """The node of each connection, by the device's port."""
        self._delay_s = delay_s

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Carry connections until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._carry, listeners)
            task_status.started()

    async def _carry(self, near: trio.SocketStream) -> None:
        for node in sorted(self.nodes, key=self.connections.__getitem__):
            self.connections[node] += 1  # before anything is awaited: others choose meanwhile
            try:
                far = await trio.open_tcp_stream("127.0.0.1", node)
                self.node_of[near.socket.getpeername()[1]] = node
                async with far, trio.open_nursery() as nursery:
                    for source, sink in ((near, far), (far, near)):
                        nursery.start_soon(self._copy, source, sink, nursery)
            except OSError:
                continue  # it is dead: the next one
            finally:
                self.connections[node] -= 1
            return

    async def _copy(
        self, source: trio.SocketStream, sink: trio.SocketStream, nursery: trio.Nursery
    ) -> None:
        try:
            while data := await source.receive_some(BYTES):
                if self._delay_s is not None:
                    await trio.sleep(self._delay_s())
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_proxy(
    nodes: Sequence[int], delay_s: Callable[[], float] | None = None
) -> AsyncIterator[Proxy]:
    """A proxy for the block."""
    proxy = Proxy(nodes, delay_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(proxy.run))
        yield proxy
        nursery.cancel_scope.cancel()
