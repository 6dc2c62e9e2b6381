"""Nodes of a cluster in one process, for every implementation alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from audio_server.cluster.interface import Cluster
from audio_server.cluster.local import Hub, LocalCluster
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

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.moves: list[tuple[str, int]] = []
        self.life = trio.CancelScope()
        self.ended = trio.Event()

    def moved(self, device_id: str, epoch: int) -> None:
        self.moves.append((device_id, epoch))

    async def live(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self.life:
            async with self.cluster.joined(self):
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
        node = kind(self.make(f"node {self._count}"))
        await self._nursery.start(node.live)
        return node

    def make(self, name: str) -> Cluster:
        """The cluster as a process sees it."""
        return LocalCluster(self.hub, name)

    async def carry(self, node: Node) -> None:
        """Deliver what is on its way to and from a process, if anything can be."""

    async def kill(self, node: Node) -> None:
        """End a process at once."""
        node.life.cancel()
        await node.ended.wait()


KINDS = {"local": LocalNodes}


@asynccontextmanager
async def open_nodes(
    kind: str, store: ModeStore | None = None, hub: type[Hub] = Hub
) -> AsyncIterator[LocalNodes]:
    """A cluster without nodes."""
    async with trio.open_nursery() as nursery:
        yield KINDS[kind](nursery, store, hub)
        nursery.cancel_scope.cancel()
