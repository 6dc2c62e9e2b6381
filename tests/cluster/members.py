"""Nodes of an engine under the clock on the wall, and a road that can be cut between the two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import Listener, RecordNews
from audio_server.cluster.inventory import SharedInventory
from audio_server.cluster.link import Link
from audio_server.cluster.records import SharedRecords
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.valkey import ValkeyCluster

PATIENCE_S = 30.0
"""For what comes sooner or later."""


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is; fails after `PATIENCE_S`."""
    with trio.fail_after(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110
            await trio.sleep(0.01)


class Meter(Instrumentation):
    """Keeps the counts."""

    def __init__(self) -> None:
        self.is_up = False
        self.from_memory = 0
        self.nodes = 0
        self.provisional = 0

    def cluster_is(self, *, up: bool) -> None:
        self.is_up = up

    def cluster_nodes(self, count: int) -> None:
        self.nodes = count

    def acknowledged_from_memory(self) -> None:
        self.from_memory += 1

    def provisional_devices(self, count: int) -> None:
        self.provisional = count


class Member:
    """A node and what it has heard."""

    def __init__(self, url: str, clock: str | None = None, **options: Any) -> None:
        self.meter = Meter()
        self.link = Link(parse_engine(url), read_scripts(clock), **options)
        self.records = SharedRecords()
        self.documents = EngineDocuments()
        self.news: list[RecordNews] = []
        self.records.follow(self.news.append)
        self.inventory = SharedInventory()
        parts = [self.records, self.documents, self.inventory]
        self.cluster = ValkeyCluster(self.link, self.meter, parts=parts)
        self.inventory.node = self.cluster.node
        self.moves: list[tuple[str, int]] = []
        self.reclaims: list[tuple[str, int, int]] = []

    def listener(self) -> Listener:
        return Listener(
            moved=lambda *move: self.moves.append(move),
            reclaimed=lambda *facts: self.reclaims.append(facts),
        )

    async def wait_up(self, is_up: bool = True) -> None:
        with trio.fail_after(PATIENCE_S):
            await self.cluster.is_up.wait_value(is_up)

    async def wait_records(self) -> None:
        """Return when the records are those of the engine."""
        await until(lambda: self.records.is_up)

    async def wait_settled(self) -> None:
        """Return when all devices are reclaimed and all modes kept."""
        cluster = self.cluster
        await until(lambda: not cluster._unsettled and not cluster._unconfirmed._modes)

    async def wait_moved(self) -> None:
        await until(lambda: bool(self.moves))

    async def put(self, device_id: str, epoch: int, mode: int) -> None:
        self.cluster.put_mode(device_id, epoch, mode)
        await self.cluster.wait_durable(device_id)


@asynccontextmanager
async def member(
    url: str, *, is_up: bool = True, clock: str | None = None, **options: Any
) -> AsyncIterator[Member]:
    """A node for the block."""
    node = Member(url, clock, **options)
    async with node.cluster.joined(node.listener()):
        if is_up:
            await node.wait_up()
            await node.wait_records()
        yield node


class Road:
    """A port before an engine. `cut` ends all that is on it, and nothing comes through any more;
    with `hush` connections stay, but are silent, and with `hush_old` only those that are there."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._far = port
        self._open = trio.Event()
        self._open.set()
        self._is_cut = False
        self._cars: set[trio.CancelScope] = set()
        self._old: set[trio.CancelScope] = set()
        self._released = trio.Event()

    def cut(self) -> None:
        self._is_cut = True
        for car in list(self._cars):
            car.cancel()

    def hush(self) -> None:
        self._open = trio.Event()

    def hush_old(self) -> None:
        self._old = set(self._cars)
        self._released = trio.Event()

    def heal(self) -> None:
        self._is_cut = False
        self._open.set()
        self._released.set()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._carry, listeners)
            task_status.started()

    async def _carry(self, near: trio.SocketStream) -> None:
        if self._is_cut:
            return
        with trio.CancelScope() as car:
            self._cars.add(car)
            try:
                far = await trio.open_tcp_stream("127.0.0.1", self._far)
                async with far, trio.open_nursery() as nursery:
                    nursery.start_soon(self._copy, near, far, nursery, car)
                    nursery.start_soon(self._copy, far, near, nursery, car)
            finally:
                self._cars.discard(car)

    async def _copy(
        self,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        nursery: trio.Nursery,
        car: trio.CancelScope,
    ) -> None:
        try:
            while data := await source.receive_some(65536):
                await self._open.wait()
                if car in self._old:
                    await self._released.wait()
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_road(port: int) -> AsyncIterator[Road]:
    road = Road(port)
    async with trio.open_nursery() as nursery:
        await nursery.start(road.run)
        yield road
        nursery.cancel_scope.cancel()
