"""Workers and a supervisor's relay in one process: all but the processes themselves.

Devices come through memory, to the worker that the test chooses; with an autojump clock whatever
happens does so at exact times. The pipe to the relay is a real one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import cycle
from typing import Any

import trio
from trio.testing import memory_stream_one_way_pair, memory_stream_pair

from audio_server.clips.clip import Clip
from audio_server.device.mode_store import ModeStore
from audio_server.rpc.client import Channel, channel_over
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.workers.directory import Directory
from audio_server.workers.mailbox import Mailbox
from audio_server.workers.router import Router
from audio_server.workers.uplink import Uplink
from audio_server.workers.worker import run_worker
from audio_server.workers.worker_config import WorkerConfig

SECONDS = (1.0, 70.0, 5.0, 0.02, 2.5)
CLIPS = [Clip.from_packets(f"clip {s}", [SILENCE] * round(s * 50)) for s in SECONDS]


class MemoryListener(trio.abc.Listener[trio.StapledStream[Any, Any]]):
    """Accepts what `connect` makes."""

    def __init__(self) -> None:
        self._arrived, self._waiting = trio.open_memory_channel[Any](100)

    def connect(self) -> Any:
        near, far = memory_stream_pair()
        self._arrived.send_nowait(far)
        return near

    async def accept(self) -> Any:
        return await self._waiting.receive()

    async def aclose(self) -> None:
        await self._waiting.aclose()


class Worker:
    """A worker, and what the relay and the test need of it."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.stop = trio.Event()
        self.listener = MemoryListener()
        self.sender, self.news = memory_stream_one_way_pair()
        self.ours, self.theirs = socket.socketpair()
        self.asks, self.asked = memory_stream_pair()

    def on_ready(self) -> None:
        self.ready.set()

    async def run(self, number: int, boot: WorkerConfig, fd: int) -> None:
        listeners: Any = [self.listener]
        with self.ours, self.theirs:
            uplink = Uplink(fd)
            await run_worker(
                number, boot, listeners, uplink, self.news, self.theirs, self.asked, self.stop
            )
        self.ended.set()


class Cluster:
    """Workers by their numbers."""

    def __init__(self, workers: int) -> None:
        self.workers = {number: Worker() for number in range(1, workers + 1)}
        self.router = trio.CancelScope()
        self._next = cycle(self.workers)

    async def run_relay(self, router: Router, read_fd: int) -> None:
        stream = trio.lowlevel.FdStream(os.dup(read_fd))
        with self.router:
            await router.run(stream)

    def open(self, worker: int) -> AbstractAsyncContextManager[Channel]:
        """One more connection to a worker."""
        return channel_over(self.workers[worker].listener.connect())

    def open_any(self) -> AbstractAsyncContextManager[Channel]:
        """One more connection, to each worker in turn."""
        return self.open(next(self._next))


@asynccontextmanager
async def open_cluster(
    workers: int = 2, *, clips: Sequence[Clip] = CLIPS, store: ModeStore | None = None
) -> AsyncIterator[Cluster]:
    """Workers that run for as long as the block."""
    cluster = Cluster(workers)
    boot = WorkerConfig(Settings(), workers, clips, store is not None)
    read_fd, write_fd = os.pipe()
    async with trio.open_nursery() as nursery:
        router = Router(Directory(workers, store=store), cluster.workers, store)
        nursery.start_soon(cluster.run_relay, router, read_fd)
        for number, worker in cluster.workers.items():
            nursery.start_soon(worker.run, number, boot, write_fd)
            nursery.start_soon(worker.mailbox.deliver, worker.sender)
            await worker.ready.wait()
        yield cluster
        nursery.cancel_scope.cancel()
    os.close(read_fd)
    os.close(write_fd)


def stub_of(channel: Channel) -> Any:
    """The calls of a device on a connection."""
    untyped: Any = channel
    return DeviceServiceStub(untyped)
