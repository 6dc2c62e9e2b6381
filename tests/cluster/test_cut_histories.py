"""Any interleaving of calls, presses and cuts at three nodes: in the end the newest call counts.

Hypothesis chooses. While a node is cut off it goes on from memory; once all cuts are healed a
device is at the node of its newest call alone, in the mode of its newest press there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from engine import Blocking, EngineProcess
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from members import Road, until
from valkey_nodes import CLOCK, EngineClock

from audio_server.cluster import link, valkey
from audio_server.cluster.engine import parse_engine
from audio_server.cluster.interface import Listener
from audio_server.cluster.link import Link
from audio_server.cluster.ownership import Ownership
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.valkey import ValkeyCluster

NODES, DEVICES, MODES = 3, ("one", "two"), 5


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that the test does not need."""
    monkeypatch.setattr(valkey, "DOWN_S", 0.01)
    monkeypatch.setattr(valkey, "KEPT_S", 0.01)
    monkeypatch.setattr(link, "PAUSE_MIN_S", 0.002)
    monkeypatch.setattr(link, "PAUSE_MAX_S", 0.01)


class CutNode:
    """A node behind a road of its own, with what `Devices` does of it."""

    def __init__(self, road: Road, clock: EngineClock) -> None:
        self.road = road
        way = Link(parse_engine(f"redis://127.0.0.1:{road.port}"), read_scripts(CLOCK))
        self.cluster = ValkeyCluster(way, clock=lambda: clock.now_ns / 1e9)
        self.ownership = Ownership(self.cluster, waited=lambda _: 0.0)
        devices: Any = self
        self.ownership.devices = devices
        self.by_id: dict[str, int] = {}
        self.is_cut = False

    def is_attached(self, device_id: str, connection: int) -> bool:
        return False

    def release(self, device_id: str) -> None:
        self.by_id.pop(device_id, None)

    def recall(self, device_id: str, mode: int) -> None:
        if device_id in self.by_id:
            self.by_id[device_id] = mode

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        news = Listener(self.ownership.moved, reclaimed=self.ownership.reclaimed)
        async with self.cluster.joined(news):
            await self.cluster.is_up.wait_value(True)
            task_status.started()
            await trio.sleep_forever()

    async def come(self, device_id: str, connection: int) -> None:
        """A call of a device, which is attached."""
        no_transport: Any = None
        await self.ownership.claim(device_id, connection, no_transport)
        self.by_id.setdefault(device_id, self.ownership.get(device_id))

    def press(self, device_id: str, steps: int) -> int:
        mode = self.by_id[device_id] = (self.by_id[device_id] + steps) % MODES
        self.ownership.put(device_id, mode)
        return mode

    def leave(self, device_id: str) -> None:
        del self.by_id[device_id]
        self.ownership.settle(device_id)


@dataclass
class Newest:
    """The newest call of a device, and its newest press since then."""

    node: CutNode | None = None
    mode: int | None = None


@dataclass
class CutHistory:
    """What has happened."""

    nodes: list[CutNode]
    clock: EngineClock
    newest: dict[str, Newest] = field(default_factory=lambda: {one: Newest() for one in DEVICES})
    connections: int = 0

    async def come(self, device: int, node: int) -> None:
        self.clock.pass_s(1)
        self.connections += 1
        device_id, at = DEVICES[device % 2], self.nodes[node % NODES]
        await at.come(device_id, self.connections)
        self.newest[device_id] = Newest(at)

    async def press(self, device: int, steps: int) -> None:
        self.clock.pass_s(1)
        device_id = DEVICES[device % 2]
        newest = self.newest[device_id]
        if newest.node is not None:
            newest.mode = newest.node.press(device_id, 1 + steps % (MODES - 1))

    async def press_where_it_was(self, device: int, node: int) -> None:
        """On a connection that the device has left, if that is still open."""
        device_id, at = DEVICES[device % 2], self.nodes[node % NODES]
        if device_id in at.by_id and at is not self.newest[device_id].node:
            at.press(device_id, 1)

    async def leave(self, device: int, _: int) -> None:
        device_id = DEVICES[device % 2]
        if (node := self.newest[device_id].node) is not None:
            node.leave(device_id)
            self.newest[device_id] = Newest()

    async def cut(self, node: int, _: int) -> None:
        self.nodes[node % NODES].is_cut = True
        self.nodes[node % NODES].road.cut()
        await self.nodes[node % NODES].cluster.is_up.wait_value(False)

    async def heal(self, node: int, _: int) -> None:
        at = self.nodes[node % NODES]
        at.road.heal()
        await at.cluster.is_up.wait_value(True)
        await self.settle()

    async def settle(self) -> None:
        """Return when all nodes that can have reclaimed their devices, and heard the news."""
        for at in self.nodes:
            cluster = at.cluster
            if cluster.is_up.value:
                await until(lambda: not cluster._unsettled)  # noqa: B023
        for _ in range(2):
            for at in self.nodes:
                if at.cluster._session is not None:
                    await at.cluster._session.flush("PING")

    def check(self, client: Blocking) -> None:
        for device_id, newest in self.newest.items():
            if newest.node is None:
                continue
            assert [node for node in self.nodes if device_id in node.by_id] == [newest.node]
            mode = newest.node.by_id[device_id]
            assert newest.mode in (None, mode)
            kept = client.ask("HGET", f"as:d:{device_id}", "m")
            assert int(kept or 0) == mode


ACTS = ("come", "come", "press", "press", "press_where_it_was", "leave", "cut", "cut", "heal")
STEPS = st.tuples(st.sampled_from(ACTS), st.integers(0, 11), st.integers(0, 11))


@settings(
    max_examples=40,
    deadline=None,
    phases=set(Phase) - {Phase.shrink},
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=15, max_size=30))
def test_after_all_cuts_the_newest_call_counts(
    engine: EngineProcess, steps: list[tuple[str, int, int]]
) -> None:
    engine.ask("FLUSHALL")
    trio.run(run, engine, steps)


async def run(engine: EngineProcess, steps: list[tuple[str, int, int]]) -> None:
    with Blocking(engine.port) as client:
        async with trio.open_nursery() as nursery:
            clock, nodes = EngineClock(client), []
            for _ in range(NODES):
                road = Road(engine.port)
                await nursery.start(road.run)
                nodes.append(CutNode(road, clock))
                await nursery.start(nodes[-1].run)
            history = CutHistory(nodes, clock)
            for name, *numbers in steps:
                await getattr(history, name)(*numbers)
                await history.settle()
            for number in range(NODES):
                await history.heal(number, 0)
            await history.settle()
            history.check(client)
            nursery.cancel_scope.cancel()
