"""Workers and a supervisor's hub in one process: all but the processes themselves.

Devices come through memory, to the worker that the test chooses, and frames go through memory too;
with an autojump clock whatever happens does so at exact times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import cycle
from typing import Any

import trio
from trio.testing import memory_stream_pair

from audio_server.clips.clip import Clip
from audio_server.cluster.clip_list import put_clips
from audio_server.cluster.local import Hub
from audio_server.cluster.served import ServedNode
from audio_server.device.mode_store import ModeStore
from audio_server.rpc.client import Channel, channel_over
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE
from audio_server.wire.comms_grpc import DeviceServiceStub
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
    """A worker, and its node at the hub."""

    def __init__(self, hub: Hub, number: int) -> None:
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.stop = trio.Event()
        self.listener = MemoryListener()
        self.number = number
        near, self.far = memory_stream_pair()
        self.node = ServedNode(hub, str(number), near, self._told)
        self.supervisor = trio.CancelScope()

    def _told(self, what: str) -> None:
        assert what == "ready"
        self.ready.set()

    async def run(self, config: WorkerConfig) -> None:
        listeners: Any = [self.listener]
        await run_worker(self.number, config, listeners, self.far, self.stop)
        self.ended.set()

    async def serve(self) -> None:
        """Be the supervisor's end, which is gone when the scope is cancelled."""
        with self.supervisor:
            await self.node.run()


class Cluster:
    """Workers by their numbers."""

    def __init__(self, hub: Hub, workers: int) -> None:
        self.workers = {number: Worker(hub, number) for number in range(1, workers + 1)}
        self._next = cycle(self.workers)
        self._began_at = 0.0

    def begin(self) -> None:
        """Count time from now: threads that read clips let a clock of tests run on."""
        self._began_at = trio.current_time()

    @property
    def time_s(self) -> float:
        """How long it has run."""
        return trio.current_time() - self._began_at

    def open(self, worker: int) -> AbstractAsyncContextManager[Channel]:
        """One more connection to a worker."""
        return channel_over(self.workers[worker].listener.connect())

    def open_any(self) -> AbstractAsyncContextManager[Channel]:
        """One more connection, to each worker in turn."""
        return self.open(next(self._next))


@asynccontextmanager
async def open_cluster(
    workers: int = 2,
    *,
    clips: Sequence[Clip] = CLIPS,
    store: ModeStore | None = None,
    hub: Hub | None = None,
    live: tuple[str, ...] = (),
) -> AsyncIterator[Cluster]:
    """Workers that run for as long as the block."""
    hub = hub or Hub(store)
    await put_clips(hub, clips)
    cluster = Cluster(hub, workers)
    config = WorkerConfig(Settings(live=live, live_patience_s=2.0), workers)
    async with trio.open_nursery() as nursery:
        for worker in cluster.workers.values():
            nursery.start_soon(worker.serve)
            nursery.start_soon(worker.run, config)
            await worker.ready.wait()
        cluster.begin()
        yield cluster
        nursery.cancel_scope.cancel()


def stub_of(channel: Channel) -> Any:
    """The calls of a device on a connection."""
    untyped: Any = channel
    return DeviceServiceStub(untyped)
