"""The server as a tree of tasks.

    serve
    ├─ devices      one nursery a device: event intake, status, audio
    ├─ connections  one nursery a connection: reader, writer, one task a call
    └─ pages        the web UI; it ends last, and nothing depends on it

Connections are ended before devices, so that every take has closed by then.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog
import trio

from audio_server.assembly import (
    Guest,
    LocalTakers,
    counts_of,
    keeping_up,
    load_repository,
    make_devices,
    make_own_fleet,
    make_server,
    measuring,
    modes_of,
    node_name,
    open_groups,
    open_ports,
    over_nodes,
)
from audio_server.clips.loader import Progress
from audio_server.clips.repository import at_once
from audio_server.cluster.interface import Listener
from audio_server.cluster.opening import make_cluster
from audio_server.cluster.ownership import Ownership
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Behaviour
from audio_server.device.mode_store import ModeStore
from audio_server.device.registry import Devices
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.identity.access_policy import AccessPolicy
from audio_server.identity.authenticator import Authenticator
from audio_server.identity.certificate_watch import CertificateWatch
from audio_server.live.opening import live_of
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.process.gc_policy import collecting
from audio_server.process.sd_notify import keep_manager_informed
from audio_server.process.sighup import put_off_hangups, reload_on_hangup
from audio_server.service.serving import serve_on
from audio_server.settings import Settings
from audio_server.state.modes import open_modes
from audio_server.web.context import Context
from audio_server.web.server import open_pages

log = structlog.get_logger()


class Run(Protocol):
    """Serve until `stop` is set: `serve_until`, or `supervise` of the workers."""

    def __call__(
        self,
        stop: trio.Event,
        settings: Settings,
        *,
        store: ModeStore | None = None,
        inventory: InventoryStore | None = None,
        progress: Progress | None = None,
        config: Path | None = None,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> Awaitable[None]: ...


async def serve(
    settings: Settings,
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    config: Path | None = None,
) -> None:
    """Serve devices until SIGTERM or SIGINT, then drain; a second signal ends all at once, and so
    does the first one before devices are served. A SIGHUP takes effect from then on.

    `run` serves; without it, `serve_until` in this process. Modes are kept in `settings.data`.
    `config` is the settings file, for the tables of groups and devices. Raises the errors of
    `run`, and `StateUnusable`.
    """
    stop, serving = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop, serving, nursery.cancel_scope)
        await nursery.start(put_off_hangups, serving)
        nursery.start_soon(
            keep_manager_informed, serving, stop, settings.grace_s + settings.drain_s
        )
        async with open_modes(settings.data) as store, trio.open_nursery() as server:
            inventory = None if store is None else store.inventory
            serving_it = partial(
                run or serve_until,
                store=store,
                inventory=inventory,
                progress=progress,
                config=config,
            )
            await server.start(serving_it, stop, settings)
            serving.set()
        nursery.cancel_scope.cancel()


async def _watch_signals(
    stop: trio.Event,
    serving: trio.Event,
    everything: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if not serving.is_set():
                log.info("stopped before it served")
                everything.cancel()
            elif stop.is_set():
                log.warning("stopping at once")
                everything.cancel()
            stop.set()


async def serve_until(
    stop: trio.Event,
    settings: Settings,
    *,
    store: ModeStore | None = None,
    inventory: InventoryStore | None = None,
    progress: Progress | None = None,
    config: Path | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve devices until `stop` is set, then drain within `settings.grace_s`.

    Gives the port to `task_status.started` when everything is loaded and listening. Raises
    `SetupError` for certificates, tokens and groups, `ClipError` for a clip and `OSError` for an
    address that cannot be used. A cancel ends all connections at once. Without a `store` modes are
    kept in memory, and without an `inventory` names, tags and the devices that were seen.
    """

    def started(server: OpenServer) -> None:
        task_status.started(server.port)

    guest = Guest(store=store)
    await _run(stop, settings, started, guest, inventory, progress, config, hangups=True)


@asynccontextmanager
async def open_server(
    settings: Settings,
    *,
    behaviour: Behaviour | None = None,
    sources: Sequence[AudioSource] = (),
    authenticator: Authenticator | None = None,
    store: ModeStore | None = None,
    config: Path | None = None,
) -> AsyncIterator[OpenServer]:
    """Serve devices for as long as the block runs, on any trio loop and in any thread.

    No signal handler is installed: the program ends the block, and the server then drains within
    `settings.grace_s`. A cancel, or an error of the block, ends all connections at once; the error
    arrives in an exception group, as from any nursery. `behaviour` replaces the stock rules,
    `sources` are modes after those of the clips, `authenticator` replaces the one of the settings,
    and `store` keeps the modes in the place of `settings.data`. `config` is a settings file, of
    which the tables of groups and devices are read, and no other setting.

    Raises `SetupError`, `ClipError` or `OSError` before the block for files and addresses that
    cannot be used.
    """
    stop = trio.Event()
    guest = Guest(behaviour, tuple(sources), authenticator, store)
    async with AsyncExitStack() as stack:
        inventory: InventoryStore | None = None
        if store is None and (modes := await stack.enter_async_context(open_modes(settings.data))):
            guest, inventory = replace(guest, store=modes), modes.inventory
        nursery = await stack.enter_async_context(trio.open_nursery())
        server: OpenServer = await nursery.start(_open, stop, settings, guest, inventory, config)
        yield server
        stop.set()


async def _open(
    stop: trio.Event,
    settings: Settings,
    guest: Guest,
    inventory: InventoryStore | None,
    config: Path | None,
    *,
    task_status: trio.TaskStatus[OpenServer],
) -> None:
    await _run(stop, settings, task_status.started, guest, inventory, config=config)


@dataclass(frozen=True, slots=True)
class OpenServer:
    """A server that runs: its TCP port, its devices, and the fleet that pages and commands see."""

    port: int
    devices: Devices
    fleet: Fleet
    reload: Callable[[], Awaitable[None]]
    """Read certificates, clips and groups again, as on SIGHUP; a bad file changes nothing and is
    logged."""


async def _run(
    stop: trio.Event,
    settings: Settings,
    started: Callable[[OpenServer], None],
    guest: Guest,
    inventory: InventoryStore | None = None,
    progress: Progress | None = None,
    config: Path | None = None,
    *,
    hangups: bool = False,
) -> None:
    """Serve until `stop` is set, then drain; `started` is called once devices are served."""
    meter = (shared_registry := SharedRegistry()).row()
    live, shared = live_of(settings, meter), make_cluster(settings, guest.store, meter)
    access_policy, certificates = AccessPolicy(settings, shared.records), CertificateWatch(settings)
    repository = await load_repository(settings, progress, shared.documents)
    ownership = Ownership(shared.cluster)
    guest = replace(guest, sources=(*live.channels, *guest.sources), store=ownership)
    devices = make_devices(settings, modes_of(repository.clips, guest), guest=guest, meter=meter)
    repository.used_by(at_once(lambda clips: devices.change_clips(modes_of(clips, guest))))
    own = make_own_fleet(settings, devices, inventory, shared.records, shared.inventory)
    groups = await open_groups(settings, repository, own, config, shared.documents)
    groups.used_by(LocalTakers(devices, groups, guest.sources))
    listeners = await open_ports(settings)
    access_policy.warn(listener.socket.getsockname() for listener in listeners)
    server = make_server(
        settings, devices, ownership, access_policy, meter, stop, identity=guest.authenticator
    )
    port: int = listeners[0].socket.getsockname()[1]
    fleet = over_nodes(
        settings, own, shared.cluster, partial(counts_of, devices), port, stop, shared.inventory
    )
    parts = repository, fleet, stop, partial(shared_registry.text, live.readings)
    context = Context(settings, port, *parts, live.channels, live.recordings, groups=groups)
    reload = partial(_reload, access_policy, context)
    async with AsyncExitStack() as stack:
        for listener in listeners:
            await stack.enter_async_context(listener)
        if hangups:  # the process is the server's own
            await stack.enter_async_context(
                collecting(meter, partial(groups.shortest_lead_s, settings.lead_ms))
            )
        await stack.enter_async_context(measuring(devices, meter))
        await stack.enter_async_context(access_policy.at_work())
        if hangups:
            await stack.enter_async_context(reload_on_hangup(reload, stop))
        await stack.enter_async_context(
            shared.cluster.joined(Listener(ownership.moved, reclaimed=ownership.reclaimed))
        )
        await stack.enter_async_context(keeping_up(repository, groups))
        await stack.enter_async_context(fleet.at_work())
        await stack.enter_async_context(live.at_work(node_name(port)))
        await stack.enter_async_context(open_pages(context))
        await stack.enter_async_context(
            certificates.at_work(partial(_renew, access_policy, context), meter.certificate_ends)
        )
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(
            serve_on, listeners, server, devices, stop, settings.grace_s, settings.drain_s
        )
        context.ready.set()
        log.info("listening", host=settings.host, port=port, clips=len(repository.clips))
        started(OpenServer(port, devices, fleet, reload))
    log.info("stopped")


async def _reload(access_policy: AccessPolicy, context: Context) -> None:
    _renew(access_policy, context)
    await context.repository.reload_and_tell()
    await context.groups.reload_and_tell()


def _renew(access_policy: AccessPolicy, context: Context) -> None:
    access_policy.reload()
    context.reload()
