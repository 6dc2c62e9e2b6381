"""The process that a user starts for several workers: it keeps them.

    supervise
    └─ workers    one task a process: its life, and its node of the cluster, whose hub is here

It prepares the clips once, for all, also when they change, and reserves the port; no device ever
talks to it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn

import structlog
import trio

from audio_server.assembly import (
    Counts,
    keeping_up,
    load_repository,
    node_name,
    open_groups,
    over_nodes,
)
from audio_server.clips.clip import Clip
from audio_server.clips.loader import Progress
from audio_server.cluster.clip_list import put_clips
from audio_server.cluster.group_list import GroupDocument
from audio_server.cluster.interface import NoAnswer, TooLate
from audio_server.cluster.local import Hub
from audio_server.cluster.opening import make_hub, make_tokens
from audio_server.device.mode_store import ModeStore
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.own_rows import own_fleet
from audio_server.fleet.workers import Workers
from audio_server.groups.groups import Groups
from audio_server.groups.interface import Takers
from audio_server.identity.access_policy import AccessPolicy
from audio_server.identity.certificate_watch import CertificateWatch
from audio_server.live.feed import offering
from audio_server.live.opening import live_of
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.process.addresses import resolve
from audio_server.process.cores import worker_count
from audio_server.process.gc_policy import collecting
from audio_server.process.sighup import reload_on_hangup
from audio_server.settings import Settings
from audio_server.web.context import Context
from audio_server.web.server import open_pages
from audio_server.workers.parent_watch import ABORT_S
from audio_server.workers.process import Watch, WorkerProcess
from audio_server.workers.sockets import reserved, reserved_each
from audio_server.workers.worker_config import WorkerConfig, nameless_file

TAKEN_S = 10.0
"""Time that a change of the clips waits for the workers to play them."""

log = structlog.get_logger()


async def supervise(
    stop: trio.Event,
    settings: Settings,
    *,
    store: ModeStore | None = None,
    inventory: InventoryStore | None = None,
    progress: Progress | None = None,
    config: Path | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve devices with `settings.workers` processes until `stop` is set, then drain them all.

    As `serve_until`, which is one process: gives the port to `task_status.started` when all
    workers accept connections, and raises the same errors. A cancel kills the workers.
    Without a `store`, or a cluster on an engine, modes are kept in memory; a press waits for one
    that takes time.
    """
    # Each worker has a policy of its own; here the files are checked, and followed for all.
    access_policy, certificates = (
        AccessPolicy(settings, make_tokens(settings)[0]),
        CertificateWatch(settings),
    )
    workers = worker_count(settings.workers)
    resolved = await resolve(settings.host, settings.port)
    with ExitStack() as stack:
        addresses = stack.enter_context(reserved(resolved))
        each = reserved_each(addresses, settings.worker_ports, workers)
        addresses_of = stack.enter_context(each)
        access_policy.warn(address.name for address in addresses)
        port = addresses[0].port
        registry_fd = stack.enter_context(nameless_file())
        shared_registry = SharedRegistry(workers, registry_fd)
        meter = shared_registry.row()
        live = live_of(settings, meter)
        hub, records, documents, away, cluster = make_hub(settings, store, meter, meter)
        repository = await load_repository(settings, progress, documents)
        await put_clips(hub, repository.clips)
        agents = Workers(hub)
        own = own_fleet(agents, inventory, records, away)
        counts = partial(_counts, shared_registry)
        fleet = over_nodes(settings, own, cluster, counts, port, stop, away, workers)
        groups = await open_groups(settings, repository, own, config, documents)
        group_document = GroupDocument(hub)
        await group_document.put(groups.members, groups.clips)
        stack.enter_context(offering(live.channels, hub.feeds))
        parts = repository, fleet, stop, partial(shared_registry.text, live.readings)
        context = Context(settings, port, *parts, live.channels, live.recordings, groups=groups)
        start = partial(
            WorkerProcess,
            hub=hub,
            include=agents.including,
            boot=WorkerConfig(settings, workers, registry_fd).pack(),
            ended=meter.worker_ended,
        )
        processes = {
            number: start(
                number,
                addresses=[*addresses, *addresses_of[number]],
                watch=Watch(partial(shared_registry.beats, number), settings.hang_s),
            )
            for number in range(1, workers + 1)
        }
        pool = WorkerPool(processes, hub)
        repository.used_by(partial(_change_clips, hub, pool))
        takers = WorkerTakers(group_document, groups, pool)
        groups.used_by(takers)
        hangups = reload_on_hangup(partial(_reload, pool, context), stop)
        following = certificates.at_work(partial(_renew, pool, context), meter.certificate_ends)
        garbage = collecting(meter, lambda: settings.lead_ms / 1000)  # it has no devices
        async with (
            meter.at_work(),
            _running(takers.run),
            garbage,
            hangups,
            hub.joined(),
            keeping_up(repository, groups),
            fleet.at_work(),
            live.at_work(node_name(port)),
            open_pages(context),
            following,
        ):
            await _keep(pool, context, own.collect_all, registry_fd, task_status)
    log.info("stopped")


def _counts(shared_registry: SharedRegistry) -> Counts:
    return Counts(*shared_registry.devices())


@asynccontextmanager
async def _running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run a task for the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield
        nursery.cancel_scope.cancel()


async def _keep(
    pool: WorkerPool,
    context: Context,
    collect_all: Callable[[], Awaitable[None]],
    registry_fd: int,
    task_status: trio.TaskStatus[int],
) -> None:
    """Keep the workers until the server is to stop, collect what they have seen of devices, then
    see them end."""
    settings = context.settings
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run, registry_fd)
        context.ready.set()
        facts: dict[str, object] = {"clips": len(context.repository.clips), "workers": pool.size}
        if first := settings.worker_ports:
            facts["worker_ports"] = f"{first}-{first + pool.size - 1}"
        log.info("listening", host=settings.host, port=context.port, **facts)
        task_status.started(context.port)
        await context.stop.wait()
        log.info("stopping", drain_s=settings.drain_s, grace_s=settings.grace_s)
        await collect_all()
        pool.drain()
        end_s = settings.drain_s + settings.grace_s
        nursery.cancel_scope.deadline = trio.current_time() + end_s + ABORT_S


async def _reload(pool: WorkerPool, context: Context) -> None:
    _renew(pool, context)
    await context.repository.reload_and_tell()
    await context.groups.reload_and_tell()


def _renew(pool: WorkerPool, context: Context) -> None:
    pool.reload()
    context.reload()


async def _change_clips(hub: Hub, pool: WorkerPool, clips: Sequence[Clip]) -> None:
    await put_clips(hub, clips)
    await pool.change("clips")


class WorkerTakers(Takers):
    """The devices of all workers. `run` follows changes of tags for which no operator waits."""

    def __init__(self, document: GroupDocument, groups: Groups, pool: WorkerPool) -> None:
        self._document = document
        self._groups = groups
        self._pool = pool
        self._turn = trio.Lock()
        self._retagged = trio.Event()

    async def run(self) -> NoReturn:
        """Have devices take their profiles whenever their tags have changed, until cancelled."""
        while True:
            await self._retagged.wait()
            await self.settle()

    async def take(self) -> None:
        """Have all devices take their profiles."""
        async with self._turn:
            if self._retagged.is_set():  # else `run` waits for this one
                self._retagged = trio.Event()
            try:
                await self._document.put(self._groups.members, self._groups.clips)
                await self._pool.change("groups")
            except BaseException:
                self._retagged.set()  # the caller was cancelled: `run` does the work
                raise

    def retag(self, device_id: str) -> None:
        """Note that the tags of a device are others."""
        self._retagged.set()

    async def settle(self) -> None:
        """Return when the devices have their profiles; of several callers one does the work."""
        async with self._turn:
            is_due = self._retagged.is_set()
        if is_due:
            await self.take()


class WorkerPool:
    """All workers, numbered from 1, as nodes of `hub`."""

    def __init__(self, workers: Mapping[int, WorkerProcess], hub: Hub) -> None:
        self._workers = workers
        self._hub = hub

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    async def run(
        self,
        *inherited_fds: int,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keep the workers until they are drained; started when all of them are ready.

        Raises `ChildProcessError` where one cannot even start. A cancel kills them.
        """
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                argv = [sys.executable, "-m", "audio_server.workers", str(worker.number)]
                nursery.start_soon(worker.run, argv, inherited_fds)
            for worker in self._workers.values():
                await worker.ready.wait()
            task_status.started()

    async def change(self, what: Literal["clips", "groups"]) -> None:
        """Return when all workers have taken the newest clips or groups; a worker that takes too
        long, busy or hung, is named in the log, and takes them later."""
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                nursery.start_soon(self._change, worker, what)

    async def _change(self, worker: WorkerProcess, what: str) -> None:
        try:
            await self._hub.ask(worker.node_name, what, TAKEN_S, is_ever_obeyed=True)
        except TooLate:
            log.warning(f"worker has not taken the {what}", worker=worker.number)
        except NoAnswer:
            return  # the next process begins with them

    def reload(self) -> None:
        """Have all workers read certificates anew; one that starts later reads them anyway."""
        for worker in self._workers.values():
            self._hub.tell(worker.node_name, "reload")

    def drain(self) -> None:
        """Have all workers end properly, at once; `run` then returns."""
        for worker in self._workers.values():
            worker.drain()
