"""Nodes of a cluster in one process, for every implementation alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    memory_stream_pair,
    memory_stream_pump,
    wait_all_tasks_blocked,
)

from audio_server.cluster.interface import Cluster, Listener, Question
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.cluster.served import ServedNode
from audio_server.cluster.socket import SocketCluster
from audio_server.device.mode_store import ModeStore


class Clock:
    """Nanoseconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def age_s(self, then_ns: Any) -> float:
        return float(self.now_ns - then_ns) / 1e9


class Node:
    """A process, and what it has heard."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name = name
        self.cluster = cluster
        self.moves: list[tuple[str, int]] = []
        self.questions: list[Question] = []
        self.orders: list[str] = []
        self.life = trio.CancelScope()
        self.ended = trio.Event()

    def moved(self, device_id: str, epoch: int) -> None:
        self.moves.append((device_id, epoch))

    async def live(self, *, task_status: trio.TaskStatus[None]) -> None:
        listener = Listener(self.moved, self.questions.append, self.orders.append)
        with self.life:
            async with self.cluster.joined(listener):
                task_status.started()
                await trio.sleep_forever()
        self.ended.set()


class LocalNodes:
    """Nodes that are views of one hub."""

    def __init__(
        self, nursery: trio.Nursery, store: ModeStore | None = None, hub: type[Hub] = Hub
    ) -> None:
        self.clock = Clock()
        self.hub = hub(store, clock_ns=self.clock)
        self._nursery = nursery
        self._count = 0

    async def start(self, kind: type[Node] = Node) -> Any:
        """One more process."""
        self._count += 1
        name = f"node {self._count}"
        node = kind(name, await self.make(name))
        await self._nursery.start(node.live)
        return node

    async def make(self, name: str) -> Cluster:
        """The cluster as a process sees it."""
        return LocalCluster(self.hub, name)

    async def carry(self, node: Node) -> None:
        """Deliver what is on its way to and from a process, if anything can be."""

    async def settle(self) -> None:
        """Return when all that was sent has been heard."""
        await wait_all_tasks_blocked()

    async def kill(self, node: Node) -> None:
        """End a process at once."""
        node.life.cancel()
        await node.ended.wait()


class SocketNodes(LocalNodes):
    """Nodes at the other ends of streams in memory."""

    async def make(self, name: str) -> Cluster:
        near, far = self.streams(name)
        await self._nursery.start(self._serve, ServedNode(self.hub, name, near))
        return SocketCluster(far, clock_ns=self.clock)

    def streams(self, name: str) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        """A stream, which delivers at once."""
        return memory_stream_pair()

    async def _serve(self, served: ServedNode, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await served.run()

    async def kill(self, node: Node) -> None:
        await super().kill(node)
        await wait_all_tasks_blocked()


class HeldNodes(SocketNodes):
    """As those, but bytes lie in the streams until they are carried."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pairs: dict[str, list[tuple[MemorySendStream, MemoryReceiveStream]]] = {}

    def streams(self, name: str) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        up = MemorySendStream(), MemoryReceiveStream()
        down = MemorySendStream(), MemoryReceiveStream()
        for send, receive in (up, down):
            send.close_hook = receive.put_eof
        self._pairs[name] = [up, down]
        return trio.StapledStream(down[0], up[1]), trio.StapledStream(up[0], down[1])

    async def carry(self, node: Node) -> None:
        for send, receive in self._pairs[node.name]:
            await wait_all_tasks_blocked()
            memory_stream_pump(send, receive)
        await wait_all_tasks_blocked()


KINDS = {"local": LocalNodes, "socket": SocketNodes, "held": HeldNodes}


@asynccontextmanager
async def open_nodes(
    kind: str, store: ModeStore | None = None, hub: type[Hub] = Hub
) -> AsyncIterator[LocalNodes]:
    """A cluster without nodes."""
    async with trio.open_nursery() as nursery:
        yield KINDS[kind](nursery, store, hub)
        nursery.cancel_scope.cancel()
