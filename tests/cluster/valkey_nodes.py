"""Nodes that share an engine, under a clock of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from engine import Blocking, EngineProcess
from nodes import Clock, LocalNodes, Node
from trio.testing import wait_all_tasks_blocked

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.interface import Cluster, ClusterDown
from audio_server.cluster.link import Link
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.valkey import ValkeyCluster

CLOCK = """
local function clock() return tonumber(redis.call('GET', 'test:clock')) end
"""


class EngineClock(Clock):
    """As the engine's scripts see it too."""

    def __init__(self, client: Blocking) -> None:
        super().__init__()
        self._client = client
        self._tell()

    def pass_s(self, seconds: float) -> None:
        super().pass_s(seconds)
        self._tell()

    def _tell(self) -> None:
        assert self._client.ask("SET", "test:clock", self.now_ns // 1000) == "OK"


class ValkeyNodes(LocalNodes):
    """Nodes with a link each. `kind` is the class of their clusters."""

    def __init__(
        self,
        nursery: trio.Nursery,
        engine: EngineProcess,
        client: Blocking,
        kind: type[ValkeyCluster] = ValkeyCluster,
    ) -> None:
        super().__init__(nursery)
        self.clock = EngineClock(client)
        self.kind = kind
        self._engine = engine
        self.living: list[Node] = []

    async def make(self, name: str) -> Cluster:
        return self.make_cluster()

    def make_cluster(self) -> ValkeyCluster:
        link = Link(parse_engine(self._engine.url), read_scripts(CLOCK))
        return self.kind(link, clock=lambda: self.clock.now_ns / 1e9)

    async def start(self, kind: type[Node] = Node) -> Any:
        node = await super().start(kind)
        await self._wait_up(node)
        self.living.append(node)
        return node

    async def _wait_up(self, node: Any) -> None:
        with trio.fail_after(20):
            await node.cluster.is_up.wait_value(True)

    async def kill(self, node: Node) -> None:
        self.living.remove(node)
        await super().kill(node)

    async def carry(self, node: Node) -> None:
        await self.settle()

    async def settle(self) -> None:
        """Return when all that was sent has been obeyed, answered and heard.

        Twice: an answer may have another command sent, or news published for another node.
        """
        for _ in range(2):
            await wait_all_tasks_blocked()
            for node in self.living:
                cluster = node.cluster
                assert isinstance(cluster, ValkeyCluster)
                if cluster._session is not None:
                    try:
                        await cluster._session.flush("PING")
                    except ClusterDown:
                        continue
        await wait_all_tasks_blocked()


@asynccontextmanager
async def open_valkey_nodes(
    engine: EngineProcess, kind: type[ValkeyCluster] = ValkeyCluster
) -> AsyncIterator[ValkeyNodes]:
    """A cluster without nodes."""
    with Blocking(engine.port) as client:
        async with trio.open_nursery() as nursery:
            yield ValkeyNodes(nursery, engine, client, kind)
            nursery.cancel_scope.cancel()
