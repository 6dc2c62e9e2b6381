"""Nodes in memory: each with a fleet of its own and the fleet of all, and what lies between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from fleet_kit import CLIPS, Stand

from audio_server.cluster.interface import (
    ClusterDown,
    Incompatible,
    NoAnswer,
    RecordResult,
    TooLate,
)
from audio_server.cluster.peers import UNKNOWN_NODES, Around, NodeFacts
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.fleet import history, node_answers, sightings, snapshot
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.inventory_store import MemoryInventory
from audio_server.fleet.of_nodes import fleet_of_nodes
from audio_server.fleet.own_records import OwnRecords
from audio_server.fleet.own_rows import own_fleet

NOW_S = 1.8e9


class Asked:
    """A `TimedQuestion` in memory."""

    def __init__(self, what: str, facts: Any, left_s: float, hear: Callable[[Any], None]) -> None:
        self.what = what
        self.facts = facts
        self.left_s = left_s
        self.over = trio.Event()
        self.is_answered = False
        self.error: Exception | None = None
        self._hear = hear

    def add(self, part: Any) -> None:
        if not self.over.is_set():
            try:
                self._hear(_carried(part))
            except Exception as error:
                self.error = error
                self.over.set()

    def end(self, *, is_answered: bool) -> None:
        self.is_answered = is_answered
        self.over.set()

    def refuse(self) -> None:
        self.error = Incompatible()
        self.end(is_answered=False)

    async def wait_room(self) -> None:
        await trio.lowlevel.checkpoint()


def _carried(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


class Between:
    """The engine, as far as nodes ask each other over it."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}  # each with `name`, `asked`, `has` and `facts`
        self.silent: list[str] = []
        self.hung: set[str] = set()
        self.is_up = True
        self.numbered = 0
        self.offers: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.fetched: list[tuple[str, str]] = []
        self.records = Shared(self)


class Shared(OwnRecords):
    """The `Records` of all nodes, which know each device that any of them has."""

    def __init__(self, between: Between) -> None:
        super().__init__(MemoryInventory())
        self._between = between

    def _has(self, device_id: str) -> bool:
        return any(node.has(device_id) for node in self._between.nodes.values())

    async def rename(self, device_id: str, name: str | None, *, is_known: bool) -> RecordResult:
        return await super().rename(device_id, name, is_known=is_known or self._has(device_id))

    async def tag(self, device_ids: Mapping[str, bool], *args: Any) -> Mapping[str, RecordResult]:
        known = {key: is_known or self._has(key) for key, is_known in device_ids.items()}
        return await super().tag(known, *args)

    async def forget(self, device_id: str, *, is_known: bool) -> RecordResult:
        if self._has(device_id):
            return "connected"
        return await super().forget(device_id, is_known=is_known)


class MemoryPeers:
    """The `Peers` of one node."""

    def __init__(self, between: Between, node: str) -> None:
        self.between = between
        self.node = node

    @asynccontextmanager
    async def joined(self, asked: Any) -> AsyncIterator[None]:
        self.between.nodes[self.node].asked = asked
        yield

    async def numbers(self, count: int) -> int:
        await trio.lowlevel.checkpoint()
        self.between.numbered += count
        return self.between.numbered - count

    def name_of(self, node: str) -> str:
        return str(self.between.nodes[node].name)

    def _others(self) -> list[str]:
        return [node for node in self.between.nodes if node != self.node]

    async def around(self, max_age_s: float = 0.0) -> Around:
        await trio.lowlevel.checkpoint()
        if not self.between.is_up:
            return Around({}, (*map(self.name_of, self._others()), UNKNOWN_NODES))
        living = [one for one in self._others() if one not in self.between.silent]
        missing = [self.name_of(one) for one in self.between.silent if one != self.node]
        return Around({one: self.between.nodes[one].facts() for one in living}, missing)

    async def homes(self, device_ids: Iterable[str]) -> Mapping[str, str]:
        await trio.lowlevel.checkpoint()
        if not self.between.is_up:
            raise ClusterDown
        nodes = self.between.nodes.items()
        return {one: node for one in device_ids for node, at in nodes if at.has(one)}

    async def ask(
        self,
        node: str,
        what: str,
        within_s: float,
        hear: Callable[[Any], None] | None = None,
        **facts: Any,
    ) -> list[Any]:
        parts: list[Any] = []
        self.between.asked.append((node, what))
        if not self.between.is_up or node not in self.between.nodes:
            raise NoAnswer
        question = Asked(what, _carried(facts), within_s, hear or parts.append)
        if node not in self.between.hung:
            self.between.nodes[node].asked(question)
        with trio.move_on_after(within_s) as patience:
            await question.over.wait()
        if question.error is not None:
            raise question.error
        if patience.cancelled_caught:
            question.over.set()
            raise TooLate
        if not question.is_answered:
            raise NoAnswer
        return parts

    async def offer(self, blobs: Mapping[str, bytes]) -> None:
        await trio.lowlevel.checkpoint()
        if self.between.is_up:
            self.between.offers |= blobs

    async def offered(self, sha: str) -> bytes:
        self.between.fetched.append((self.node, sha))
        return self.between.offers[sha]


class NodeStand(Stand):
    """A node with devices."""

    fleet: Any  # that of all nodes

    def __init__(self, between: Between, node: str, away: Any = None) -> None:
        self.name = f"{node}:50051"
        self.devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
        self.own = own_fleet(DevicesHere(self.devices), None, between.records, away)
        self.asked: Any = None
        self.fleet = fleet_of_nodes(self.own, MemoryPeers(between, node), self.facts)
        between.nodes[node] = self

    def has(self, device_id: str) -> bool:
        return device_id in self.devices.by_id

    def facts(self) -> NodeFacts:
        devices = self.devices.by_id.values()
        return NodeFacts(self.name, len(devices), sum(one.is_playing for one in devices))

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery, self.fleet.at_work():
            await nursery.start(self.devices.run)
            nursery.start_soon(self.fleet.run)
            await trio.testing.wait_all_tasks_blocked()
            task_status.started()
            await trio.sleep_forever()


class Nodes(Between):
    """Nodes `a`, `b` and so on."""

    def __getitem__(self, node: str) -> NodeStand:
        stand = self.nodes[node]
        assert isinstance(stand, NodeStand)
        return stand

    @contextmanager
    def connected(self, *devices: tuple[str, str]) -> Any:
        """Devices, each at a node; gives their presses, by id."""
        with ExitStack() as stack:
            yield {
                device_id: stack.enter_context(self[node].connected(device_id, number))
                for number, (node, device_id) in enumerate(devices, 1)
            }


@asynccontextmanager
async def open_nodes(*names: str) -> AsyncIterator[Nodes]:
    nodes = Nodes()
    clock = SimpleNamespace(time=lambda: NOW_S + trio.current_time())  # virtual, as the loop's
    with pytest.MonkeyPatch.context() as patch:
        for module in (history, node_answers, sightings, snapshot):
            patch.setattr(module, "time", clock)
        async with _running(nodes, names):
            yield nodes


@asynccontextmanager
async def _running(nodes: Nodes, names: tuple[str, ...]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for name in names or ("a", "b", "c"):
            await nursery.start(NodeStand(nodes, name).run)
        yield
        nursery.cancel_scope.cancel()
