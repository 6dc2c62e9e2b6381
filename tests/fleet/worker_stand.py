"""Workers in memory: devices, the answers about them, and the hub that asks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trio
import trio.testing
from fleet_kit import CLIPS, Stand
from trio.testing import memory_stream_pair

from audio_server.cluster.interface import Listener
from audio_server.cluster.local import Hub
from audio_server.cluster.served import ServedNode
from audio_server.cluster.socket import SocketCluster
from audio_server.device.behaviour import Rules, State
from audio_server.device.registry import Devices
from audio_server.fleet.own_rows import own_fleet
from audio_server.fleet.worker_answers import WorkerAnswers
from audio_server.fleet.workers import Workers


def clock_ns() -> int:
    return int(trio.current_time() * 1e9)


class WorkerStand(Stand):
    """A worker: devices, and the node that answers for them."""

    def __init__(self, number: int, nursery: trio.Nursery) -> None:
        self.number = number
        self.devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
        self.go_on = trio.Event()
        self._nursery = nursery

    async def start(self, *, hung: bool = False) -> Any:
        """Serve; gives the supervisor's end."""
        await self._nursery.start(self.devices.run)
        near, far = memory_stream_pair()
        if not hung:
            self.go_on.set()
        self._nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, far: Any) -> None:
        cluster = SocketCluster(Hanging(far, self), clock_ns=clock_ns)
        answers = WorkerAnswers(self.devices, self.number, cluster.blob)
        async with answers.at_work(), cluster.joined(Listener(asked=answers.asked)):
            await cluster.is_over.wait()


class Hanging(trio.abc.Stream):
    """The end of a worker that hangs as long as `go_on` is not set: it neither reads nor writes."""

    def __init__(self, stream: Any, worker: WorkerStand) -> None:
        self._stream = stream
        self._worker = worker

    async def send_all(self, data: Any) -> None:
        await self._worker.go_on.wait()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> Any:
        data = await self._stream.receive_some(max_bytes)
        await self._worker.go_on.wait()
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


class LineStand(WorkerStand):
    """Worker 3, and questions to it."""

    hub: Hub

    async def ask(self, what: str, within_s: float, **facts: Any) -> list[Any]:
        return await self.hub.ask("3", what, within_s, **facts)


@asynccontextmanager
async def line_stand(*, hung: bool = False) -> AsyncIterator[LineStand]:
    async with trio.open_nursery() as nursery:
        stand = LineStand(3, nursery)
        stand.hub = Hub(clock_ns=clock_ns)
        node = ServedNode(stand.hub, "3", await stand.start(hung=hung))
        nursery.start_soon(node.run)
        await trio.testing.wait_all_tasks_blocked()
        yield stand
        nursery.cancel_scope.cancel()


class Spread:
    """Workers 1 and 2, and the fleet of both."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.hub = Hub(clock_ns=clock_ns)
        self.agents = Workers(self.hub)
        self.fleet = own_fleet(self.agents)
        self.workers: dict[int, WorkerStand] = {}
        self.nodes: dict[int, str] = {}
        self._nursery = nursery
        self._lives: dict[int, trio.CancelScope] = {}

    async def start(self, number: int, *, hung: bool = False) -> WorkerStand:
        """Start a worker, as for the first time."""
        worker = self.workers[number] = WorkerStand(number, self._nursery)
        stream = await worker.start(hung=hung)
        life = self._lives[number] = trio.CancelScope()
        self.nodes[number] = f"{self.nodes.get(number, number)}+"
        self._nursery.start_soon(self.attach, number, stream, life)
        await trio.testing.wait_all_tasks_blocked()
        return worker

    async def attach(self, number: int, stream: Any, life: trio.CancelScope) -> None:
        """Be the supervisor's end of a worker's process."""
        node = self.nodes[number]
        with life, self.agents.including(node, number):
            await ServedNode(self.hub, node, stream).run()

    def kill(self, number: int) -> None:
        """The process of a worker is gone."""
        self._lives[number].cancel()

    @contextmanager
    def connected(self, worker: int, device_id: str, number: int = 1) -> Iterator[Any]:
        """A device of a worker, with all its streams, for the block."""
        self.hub.claim(self.nodes[worker], device_id, time.monotonic_ns())
        with self.workers[worker].connected(device_id, number) as link:
            yield link
        self.hub.release(self.nodes[worker], device_id)


@asynccontextmanager
async def spread() -> AsyncIterator[Spread]:
    async with trio.open_nursery() as nursery:
        stand = Spread(nursery)
        nursery.start_soon(stand.fleet.run)
        await stand.start(1)
        await stand.start(2)
        yield stand
        nursery.cancel_scope.cancel()


async def ids(at: Spread) -> set[str]:
    return {row["id"] for row in await at.fleet.rows()}


def state(at: Spread, worker: int, device_id: str) -> State:
    return at.workers[worker].devices.by_id[device_id].state


def drained(channel: trio.MemoryReceiveChannel[Any]) -> list[Any]:
    waiting = channel.statistics().current_buffer_used
    return [channel.receive_nowait() for _ in range(waiting)]
