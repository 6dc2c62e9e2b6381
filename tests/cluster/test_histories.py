"""Any interleaving of calls, presses, deaths and lost news at three nodes: modes are kept.

Hypothesis chooses what happens next. A model of a few lines keeps what the order of the cluster
says: the newest call has the device, and only the node that has it writes its mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import trio
from engine import EngineProcess
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nodes import Clock, LocalNodes, Node, open_nodes
from trio.testing import wait_all_tasks_blocked
from valkey_nodes import ValkeyNodes, open_valkey_nodes

from audio_server.cluster.interface import Claimed, Cluster, ClusterDown
from audio_server.cluster.local import Hub
from audio_server.cluster.ownership import Ownership
from audio_server.cluster.valkey import ValkeyCluster
from audio_server.device.attachment import Superseded

NODES, DEVICES, MODES = 3, ("one", "two"), 5


@dataclass
class Truth:
    """A device by the order of the cluster."""

    node: str = ""
    epoch: int = 0
    newest: int = 0
    mode: int = 0


class ModelledHub(Hub):
    """A hub, and beside it the model."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.truth = {device: Truth() for device in DEVICES}

    def claim(self, node: str, device_id: str, arrived_ns: int) -> Claimed:
        truth = self.truth[device_id]
        if truth.node not in ("", node) and arrived_ns < truth.newest:
            with pytest.raises(Superseded):
                super().claim(node, device_id, arrived_ns)
            raise Superseded(Superseded.ELSEWHERE)
        claimed = super().claim(node, device_id, arrived_ns)
        assert claimed.mode == truth.mode
        assert claimed.epoch >= truth.epoch
        assert truth.node == node or claimed.epoch > truth.epoch
        truth.node, truth.epoch = node, claimed.epoch
        truth.newest = max(truth.newest, arrived_ns)
        return claimed

    def put_mode(self, node: str, device_id: str, epoch: int, mode: int) -> None:
        truth = self.truth[device_id]
        if (truth.node, truth.epoch) == (node, epoch):
            truth.mode = mode
        super().put_mode(node, device_id, epoch, mode)
        assert self.store.get(device_id) == truth.mode


class ModelledCluster(ValkeyCluster):
    """A node with an engine, and beside it the model, in the order of the answers.

    A test lets all answers come before anything else happens, so that it is the engine's order.
    """

    truth: dict[str, Truth]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[tuple[str, float]] = []

    async def _claim(self, device_id: str, arrived: float) -> Claimed:
        self.asked.append((device_id, arrived))
        return await super()._claim(device_id, arrived)

    def _on_claimed(self, device_id: str, answer: Any) -> Any:
        (device, arrived), truth = self.asked.pop(0), self.truth[device_id]
        arrived_ns = round(arrived * 1e9)
        assert device == device_id
        claimed = super()._on_claimed(device_id, answer)
        assert not isinstance(claimed, ClusterDown)
        if truth.node not in ("", self.node) and arrived_ns < truth.newest:
            assert claimed is None
            return claimed
        assert claimed is not None
        assert claimed.mode == truth.mode
        assert claimed.epoch >= truth.epoch
        assert truth.node == self.node or claimed.epoch > truth.epoch
        truth.node, truth.epoch = self.node, claimed.epoch
        truth.newest = max(truth.newest, arrived_ns)
        return claimed

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        truth = self.truth[device_id]
        if (truth.node, truth.epoch) == (self.node, epoch):
            truth.mode = mode
        super().put_mode(device_id, epoch, mode)


@dataclass
class Attached:
    """A device at a node: the connections of its calls."""

    mode: int
    connections: set[int] = field(default_factory=set)


class Process(Node):
    """A node with what `Devices` does of it, without tasks."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        super().__init__(name, cluster)
        self.clock = Clock()
        self.by_id: dict[str, Attached] = {}
        self.ownership = Ownership(cluster, waited=lambda call: self.clock.age_s(call))
        devices: Any = self
        self.ownership.devices = devices
        self.loses_news = False

    def moved(self, device_id: str, epoch: int) -> None:
        if not self.loses_news:
            self.ownership.moved(device_id, epoch)
        self.loses_news = False

    def is_attached(self, device_id: str, connection: int) -> bool:
        return device_id in self.by_id and connection in self.by_id[device_id].connections

    def release(self, device_id: str) -> None:
        self.by_id.pop(device_id, None)

    def attach(self, device_id: str, connection: int) -> None:
        """In one step with the end of the claim, as a call is attached."""
        if device_id not in self.by_id:
            self.by_id[device_id] = Attached(self.ownership.get(device_id))
        self.by_id[device_id].connections.add(connection)

    def press(self, device_id: str, steps: int) -> None:
        here = self.by_id[device_id]
        here.mode = (here.mode + steps) % MODES
        self.ownership.put(device_id, here.mode)

    def drop(self, device_id: str, connection: int) -> None:
        here = self.by_id[device_id]
        here.connections.discard(connection)
        if not here.connections:
            del self.by_id[device_id]
        self.ownership.settle(device_id)


class Call(NamedTuple):
    """A call of a device that lies at a node."""

    node: int
    device: str
    connection: int
    arrived_ns: int


class Histories:
    """What has happened, and what may happen next."""

    def __init__(self, nodes: LocalNodes, nursery: trio.Nursery, truth: dict[str, Truth]) -> None:
        self.nodes = nodes
        self.truth = truth
        self.unread: list[Call] = []
        self.has_lost = False
        self._nursery = nursery

    async def start(self) -> None:
        """Begin with three nodes."""
        self.processes = [await self._start() for _ in range(NODES)]

    async def _start(self) -> Process:
        process: Process = await self.nodes.start(Process)
        process.clock = self.nodes.clock
        return process

    async def call(self, device: int, node: int, connection: int) -> None:
        """A call arrives at a node."""
        self.nodes.clock.pass_s(1)
        arrived_ns = self.nodes.clock()
        call = Call(node % NODES, DEVICES[device % 2], connection % 2, arrived_ns)
        self.unread.append(call)

    async def read(self, which: int, _: int, cancelled: int) -> None:
        """A call is read, however late; some are reset at once."""
        if not self.unread:
            return
        call = self.unread.pop(which % len(self.unread))
        scope = trio.CancelScope()
        self._nursery.start_soon(self._claim, call, self.processes[call.node], scope)
        await wait_all_tasks_blocked()
        if cancelled % 4 == 0:
            scope.cancel()

    async def _claim(self, call: Call, process: Process, scope: trio.CancelScope) -> None:
        with scope:
            try:
                transport: Any = call.arrived_ns
                await process.ownership.claim(call.device, call.connection, transport)
            except Superseded:
                pass
            else:
                process.attach(call.device, call.connection)
                return
        process.ownership.settle(call.device)

    async def press(self, which: int, steps: int, _: int) -> None:
        """A device presses, on a connection that it may have left."""
        attached = [(one, key) for one in self.processes for key in one.by_id]
        if attached:
            process, device = attached[which % len(attached)]
            process.press(device, 1 + steps % (MODES - 1))

    async def drop(self, which: int, _: int, __: int) -> None:
        """A connection is closed."""
        attached = [
            (one, key, connection)
            for one in self.processes
            for key, here in one.by_id.items()
            for connection in here.connections
        ]
        if attached:
            process, device, connection = attached[which % len(attached)]
            process.drop(device, connection)

    async def carry(self, node: int, _: int, __: int) -> None:
        """What is on its way to and from a node arrives."""
        await self.nodes.carry(self.processes[node % NODES])

    async def kill(self, node: int, _: int, __: int) -> None:
        """A process is killed, with the calls that lie there, and another one is started."""
        number = node % NODES
        await self.nodes.kill(self.processes[number])
        self.unread = [call for call in self.unread if call.node != number]
        self.processes[number] = await self._start()

    async def lose(self, node: int, _: int, __: int) -> None:
        """The next news for a node is lost."""
        self.processes[node % NODES].loses_news = True
        self.has_lost = True

    async def end(self) -> None:
        """In the end all that is on its way arrives, and there is one newest call of a device."""
        for _ in range(20):  # calls in a line ask one after the other
            for process in self.processes:
                await self.nodes.carry(process)
        for device, truth in self.truth.items():
            here = [one for one in self.processes if device in one.by_id]
            if not self.has_lost:
                assert len(here) <= 1
            self.check_owner(device, truth, here)

    def is_owner(self, process: Process, device: str, truth: Truth) -> bool:
        return process.ownership._held[device].epoch == truth.epoch

    def check_owner(self, device: str, truth: Truth, here: list[Process]) -> None:
        for process in here:
            if self.is_owner(process, device, truth):
                assert process.by_id[device].mode == truth.mode
            else:
                assert self.has_lost
                before = truth.mode
                process.press(device, 1)
                assert truth.mode == before

    def check_tidy(self) -> None:
        for process in self.processes:
            assert process.ownership._held.keys() <= process.by_id.keys()
            assert not process.ownership._lines
            assert not process.ownership._asking
            assert not process.ownership._moved


ACTS = ("call", "read", "press", "drop", "carry", "kill", "lose")
STEPS = st.tuples(
    st.sampled_from((*ACTS, "call", "read", "read", "press", "carry")),
    st.integers(0, 11),
    st.integers(0, 11),
    st.integers(0, 11),
)


@pytest.mark.parametrize("kind", ["local", "held"])
@settings(max_examples=60, deadline=None, phases=set(Phase) - {Phase.shrink})
@given(steps=st.lists(STEPS, min_size=30, max_size=50))
def test_histories(kind: str, steps: list[tuple[str, int, int, int]]) -> None:
    trio.run(run, kind, steps)


async def run(kind: str, steps: list[tuple[str, int, int, int]]) -> None:
    async with open_nodes(kind, hub=ModelledHub) as nodes:
        assert isinstance(nodes.hub, ModelledHub)
        await take_steps(nodes, steps, nodes.hub.truth)


@settings(
    max_examples=40,
    deadline=None,
    phases=set(Phase) - {Phase.shrink},
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=30, max_size=50))
def test_histories_with_an_engine(
    engine: EngineProcess, steps: list[tuple[str, int, int, int]]
) -> None:
    engine.ask("FLUSHALL")
    trio.run(run_with_engine, engine, steps)


async def run_with_engine(engine: EngineProcess, steps: list[tuple[str, int, int, int]]) -> None:
    truth = {device: Truth() for device in DEVICES}
    kind = type("Modelled", (ModelledCluster,), {"truth": truth})
    async with open_valkey_nodes(engine, kind) as nodes:
        await take_steps(nodes, steps, truth)


async def take_steps(
    nodes: LocalNodes,
    steps: list[tuple[str, int, int, int]],
    truth: dict[str, Truth],
    kind: type[Histories] = Histories,
) -> None:
    async with trio.open_nursery() as nursery:
        histories = kind(nodes, nursery, truth)
        await histories.start()
        for name, *numbers in steps:
            await getattr(histories, name)(*numbers)
            if isinstance(nodes, ValkeyNodes):
                await nodes.settle()
        await histories.end()
        histories.check_tidy()
        nursery.cancel_scope.cancel()
