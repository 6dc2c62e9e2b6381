"""Workers in memory: devices, the stations that answer for them, and lines to these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from fleet_kit import CLIPS, Stand
from trio.testing import memory_stream_pair

from audio_server.device.behaviour import Rules, State
from audio_server.device.registry import Devices
from audio_server.fleet.ipc_client import IpcClient
from audio_server.fleet.ipc_server import IpcServer
from audio_server.fleet.remote_fleet import RemoteFleet


class WorkerStand(Stand):
    """A worker: devices, and the station that answers for them."""

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
        station = IpcServer(self.devices, self.number, clock=trio.current_time)
        await station.run(Hanging(far, self))


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
    """Worker 3, and a line to it."""

    line: IpcClient


@asynccontextmanager
async def line_stand(*, hung: bool = False) -> AsyncIterator[LineStand]:
    async with trio.open_nursery() as nursery:
        stand = LineStand(3, nursery)
        stand.line = IpcClient(await stand.start(hung=hung), clock=trio.current_time)
        nursery.start_soon(stand.line.run)
        yield stand
        nursery.cancel_scope.cancel()


class Spread:
    """Workers 1 and 2, and the fleet of both. `seats` says where the registry has each device."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.seats: dict[str, int] = {}
        self.fleet = RemoteFleet(self.seats.get, clock=trio.current_time)
        self.workers: dict[int, WorkerStand] = {}
        self._nursery = nursery
        self._lives: dict[int, trio.CancelScope] = {}

    async def start(self, number: int, *, hung: bool = False) -> WorkerStand:
        """Start a worker, as for the first time."""
        worker = self.workers[number] = WorkerStand(number, self._nursery)
        stream = await worker.start(hung=hung)
        life = self._lives[number] = trio.CancelScope()
        self._nursery.start_soon(self._attach, number, stream, life)
        await trio.testing.wait_all_tasks_blocked()
        return worker

    async def _attach(self, number: int, stream: Any, life: trio.CancelScope) -> None:
        with life:
            await self.fleet.attach(number, stream)

    def kill(self, number: int) -> None:
        """The process of a worker is gone."""
        self._lives[number].cancel()

    def connected(self, worker: int, device_id: str, number: int = 1) -> Any:
        """A device of a worker, with all its streams."""
        self.seats[device_id] = worker
        return self.workers[worker].connected(device_id, number)


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
