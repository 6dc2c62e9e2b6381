"""The process that a user starts when there are to be many: it keeps the workers.

    supervise
    ├─ relay      takes what the workers say, asks the registry, posts the answers
    └─ workers    one task a process: its life, the delivery of its post

It prepares the clips once, for all, and reserves the port; no device ever talks to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import structlog
import trio

from audio_server.clips.library import Progress, load_clips
from audio_server.device.devices import Devices
from audio_server.device.meter import Meter
from audio_server.device.modes import ModeStore
from audio_server.device.rules import Rules
from audio_server.fleet.local import LocalFleet
from audio_server.identity.guard import Guard
from audio_server.identity.reload import reload_on_hangup
from audio_server.metrics.board import Board
from audio_server.settings import Settings
from audio_server.web.house import House, titles
from audio_server.web.server import open_pages
from audio_server.workers.boot import Boot, nameless_file, packed
from audio_server.workers.lifeline import ABORT_S
from audio_server.workers.messages import Reload
from audio_server.workers.process import WorkerProcess
from audio_server.workers.registry import Registry
from audio_server.workers.relay import Relay
from audio_server.workers.sockets import reserved, resolve

log = structlog.get_logger()


async def supervise(
    stop: trio.Event,
    settings: Settings,
    workers: int,
    *,
    store: ModeStore | None = None,
    progress: Progress | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve devices with so many processes until `stop` is set, then drain them all at once.

    As `serve_until`, which is one process: gives the port to `task_status.started` when all
    workers accept connections, and raises what that raises. A cancel kills the workers.
    Without a `store` modes are kept in memory; a press waits for one that takes time.
    """
    guard = Guard(settings)  # each worker has its own; here it is seen what is wrong with the files
    clips = await load_clips(settings.clips, cache=settings.cache, progress=progress)
    names = await resolve(settings.host, settings.port)
    count = len(clips)
    with ExitStack() as stack:
        addresses = stack.enter_context(reserved(names))
        guard.warn(address.name for address in addresses)
        port = addresses[0].port
        confirms = store is not None
        board_fd = stack.enter_context(nameless_file())
        contents = Boot(settings, workers, addresses, clips, confirms, board_fd)
        boot = stack.enter_context(packed(contents))
        board = Board(workers, board_fd)
        meter = board.row()
        nobody = LocalFleet(Devices((), Rules(clips=0), settings.lead_ms / 1000))
        house = House(settings, port, titles(clips), nobody, stop, board.text)
        del clips, contents
        crew = Crew(workers, store, meter)
        hangups = reload_on_hangup(settings, crew.reload, house.reload)
        async with meter.at_work(), hangups, open_pages(house), trio.open_nursery() as nursery:
            await nursery.start(crew.run, boot, board_fd)
            house.ready.set()
            log.info("listening", host=settings.host, port=port, clips=count, workers=workers)
            task_status.started(port)
            await stop.wait()
            log.info("stopping", grace_s=settings.grace_s)
            crew.drain()
            nursery.cancel_scope.deadline = trio.current_time() + settings.grace_s + ABORT_S
    log.info("stopped")


class Crew:
    """All workers, numbered from 1, and what goes to and fro between them."""

    def __init__(
        self, workers: int, store: ModeStore | None = None, meter: Meter | None = None
    ) -> None:
        self._workers = {number: WorkerProcess(number) for number in range(1, workers + 1)}
        self._relay = Relay(Registry(workers, store=store), self._workers, store, meter)

    async def run(
        self,
        boot_fd: int,
        *inherited_fds: int,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keep the workers until they are drained; started when all of them are ready.

        Raises `ChildProcessError` where one cannot even start. A cancel kills them.
        """
        with _pipe() as (read_fd, write_fd):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._relay.run, trio.lowlevel.FdStream(read_fd))
                await self._run_workers((boot_fd, write_fd), inherited_fds, task_status)
                nursery.cancel_scope.cancel()

    async def _run_workers(
        self,
        told_fds: tuple[int, int],
        other_fds: tuple[int, ...],
        task_status: trio.TaskStatus[None],
    ) -> None:
        fds = (*told_fds, *other_fds)
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                command = [sys.executable, "-m", "audio_server.workers", str(worker.number)]
                nursery.start_soon(worker.run, [*command, *map(str, told_fds)], fds)
            for worker in self._workers.values():
                await worker.ready.wait()
            task_status.started()

    def reload(self) -> None:
        """Have all workers read certificates anew; one that starts later reads them anyway."""
        for worker in self._workers.values():
            worker.post.send(Reload())

    def drain(self) -> None:
        """Have all workers end properly, at once; `run` then returns."""
        for worker in self._workers.values():
            worker.drain()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose reading end is closed by whoever reads it."""
    read_fd, write_fd = os.pipe()
    try:
        yield read_fd, write_fd
    finally:
        os.close(write_fd)
