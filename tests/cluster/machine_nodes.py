"""Workers of machines that share an engine, under a clock of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import trio
from engine import Blocking, EngineProcess
from nodes import Node
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from valkey_nodes import ValkeyNodes

from audio_server.cluster.interface import Cluster, ClusterDown
from audio_server.cluster.machine import MachineHub
from audio_server.cluster.served import ServedNode
from audio_server.cluster.socket import SocketCluster
from audio_server.cluster.valkey import ValkeyCluster


class MachineNodes(ValkeyNodes):
    """Workers, each at the other end of a stream in memory; they go in turn to so many machines."""

    def __init__(
        self,
        nursery: trio.Nursery,
        engine: EngineProcess,
        client: Blocking,
        machines: int,
        kind: type[ValkeyCluster],
    ) -> None:
        super().__init__(nursery, engine, client, kind)
        self._machines = machines
        self.hubs: list[MachineHub] = []
        self._places: dict[str, int] = {}

    def machine_of(self, name: str) -> MachineHub:
        """The machine of a worker."""
        return self.hubs[self._places[name] % self._machines]

    def _place(self, name: str) -> None:
        """Give a worker the first place that is free: that of one that was killed."""
        living = {node.name for node in self.living}
        taken = {place for one, place in self._places.items() if one in living}
        self._places[name] = next(place for place in count() if place not in taken)

    async def start_machine(self) -> None:
        """One more machine, without workers."""
        cluster = self.make_cluster()
        hub = MachineHub(cluster, clock_ns=self.clock)
        await self._nursery.start(self._be_machine, hub, cluster)
        self.hubs.append(hub)

    async def _be_machine(
        self, hub: MachineHub, cluster: ValkeyCluster, *, task_status: trio.TaskStatus[None]
    ) -> None:
        async with hub.joined():
            with trio.fail_after(20):
                await cluster.is_up.wait_value(True)
            task_status.started()
            await trio.sleep_forever()

    async def make(self, name: str) -> Cluster:
        self._place(name)
        while len(self.hubs) < self._machines:
            await self.start_machine()
        near, far = memory_stream_pair()
        served = ServedNode(self.machine_of(name), name, near)
        await self._nursery.start(self._serve, served)
        return SocketCluster(far, clock_ns=self.clock)

    async def _serve(self, served: ServedNode, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await served.run()

    async def _wait_up(self, node: Node) -> None:
        """A worker is there at once."""

    async def kill(self, node: Node) -> None:
        await super().kill(node)
        await wait_all_tasks_blocked()

    async def settle(self) -> None:
        """Return when all that was sent has been heard, by workers, machines and the engine."""
        for _ in range(3):
            await wait_all_tasks_blocked()
            for hub in self.hubs:
                cluster = hub._cluster
                assert isinstance(cluster, ValkeyCluster)
                if cluster._session is not None:
                    try:
                        await cluster._session.flush("PING")
                    except ClusterDown:
                        continue
        await wait_all_tasks_blocked()


@asynccontextmanager
async def open_machine_nodes(
    engine: EngineProcess, machines: int = 2, kind: type[ValkeyCluster] = ValkeyCluster
) -> AsyncIterator[MachineNodes]:
    """A cluster without workers."""
    with Blocking(engine.port) as client:
        async with trio.open_nursery() as nursery:
            yield MachineNodes(nursery, engine, client, machines, kind)
            nursery.cancel_scope.cancel()
