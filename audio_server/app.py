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
from typing import Protocol

import structlog
import trio

from audio_server.clips.clip import Clip
from audio_server.clips.loader import Progress
from audio_server.clips.repository import Repository, at_once, open_repository
from audio_server.cluster.interface import Listener
from audio_server.cluster.opening import make_cluster
from audio_server.cluster.ownership import ClaimingService, Ownership
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Behaviour, Rules
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.live_channel import LiveChannel
from audio_server.device.mode_store import ModeStore
from audio_server.device.registry import Devices
from audio_server.fleet.event_log import EventLog
from audio_server.fleet.interface import Fleet
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.local import LocalFleet
from audio_server.identity.access_policy import AccessPolicy
from audio_server.identity.authenticator import Authenticator
from audio_server.identity.certificate_watch import CertificateWatch
from audio_server.metrics.metrics import Metrics
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.process.addresses import open_listeners
from audio_server.process.gc_policy import collecting
from audio_server.process.log_limiter import ALL_DEVICES, EACH_DEVICE, LogLimiter
from audio_server.process.rlimits import most_connections
from audio_server.process.sd_notify import keep_manager_informed
from audio_server.process.sighup import put_off_hangups, reload_on_hangup
from audio_server.rpc.server import Server
from audio_server.service.services import all_services
from audio_server.settings import OFF, LimitSettings, Settings
from audio_server.state.modes import open_modes
from audio_server.web.context import Context
from audio_server.web.server import open_pages

TAKES_END_S = 0.5
"""Time that a stopping server gives to the `is_end` of the takes."""

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
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> Awaitable[None]: ...


async def serve(
    settings: Settings, *, run: Run | None = None, progress: Progress | None = None
) -> None:
    """Serve devices until SIGTERM or SIGINT, then drain; a second signal ends all at once, and so
    does the first one before devices are served. A SIGHUP takes effect from then on.

    `run` serves; without it, `serve_until` in this process. Modes are kept in `settings.data`.
    Raises the errors of `run`, and `StateUnusable`.
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
                run or serve_until, store=store, inventory=inventory, progress=progress
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
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve devices until `stop` is set, then drain within `settings.grace_s`.

    Gives the port to `task_status.started` when everything is loaded and listening. Raises
    `SetupError` for certificates and tokens, `ClipError` for a clip and `OSError` for an address
    that cannot be used. A cancel ends all connections at once. Without a `store` modes are kept
    in memory, and without an `inventory` names, tags and the devices that were seen.
    """

    def started(server: OpenServer) -> None:
        task_status.started(server.port)

    await _run(stop, settings, started, Guest(store=store), inventory, progress, hangups=True)


@asynccontextmanager
async def open_server(
    settings: Settings,
    *,
    behaviour: Behaviour | None = None,
    sources: Sequence[AudioSource] = (),
    authenticator: Authenticator | None = None,
    store: ModeStore | None = None,
) -> AsyncIterator[OpenServer]:
    """Serve devices for as long as the block runs, on any trio loop and in any thread.

    No signal handler is installed: the program ends the block, and the server then drains within
    `settings.grace_s`. A cancel, or an error of the block, ends all connections at once; the error
    arrives in an exception group, as from any nursery. `behaviour` replaces the stock rules,
    `sources` are modes after those of the clips, `authenticator` replaces the one of the settings,
    and `store` keeps the modes in the place of `settings.data`.

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
        server: OpenServer = await nursery.start(_open, stop, settings, guest, inventory)
        yield server
        stop.set()


async def _open(
    stop: trio.Event,
    settings: Settings,
    guest: Guest,
    inventory: InventoryStore | None,
    *,
    task_status: trio.TaskStatus[OpenServer],
) -> None:
    await _run(stop, settings, task_status.started, guest, inventory)


@dataclass(frozen=True, slots=True)
class Guest:
    """The parts of a server that a program brings; None stands for the server's own."""

    behaviour: Behaviour | None = None
    sources: Sequence[AudioSource] = ()
    authenticator: Authenticator | None = None
    store: ModeStore | None = None


@dataclass(frozen=True, slots=True)
class OpenServer:
    """A server that runs: its TCP port, its devices, and the fleet that pages and commands see."""

    port: int
    devices: Devices
    fleet: Fleet
    reload: Callable[[], Awaitable[None]]
    """Read certificates and clips again, as on SIGHUP; a bad file changes nothing and is logged."""


async def _run(
    stop: trio.Event,
    settings: Settings,
    started: Callable[[OpenServer], None],
    guest: Guest,
    inventory: InventoryStore | None = None,
    progress: Progress | None = None,
    *,
    hangups: bool = False,
) -> None:
    """Serve until `stop` is set, then drain; `started` is called once devices are served."""
    access_policy, certificates = AccessPolicy(settings), CertificateWatch(settings)
    repository = await load_repository(settings, progress)
    listeners = await _open_ports(settings)
    access_policy.warn(listener.socket.getsockname() for listener in listeners)
    shared_registry = SharedRegistry()
    meter = shared_registry.row()
    cluster = make_cluster(settings, guest.store, meter)
    ownership = Ownership(cluster)
    channels = [LiveChannel(name, settings.live_patience_s) for name in settings.live]
    guest = replace(guest, sources=(*channels, *guest.sources))
    claiming = replace(guest, store=ownership)
    devices = make_devices(settings, _modes(repository.clips, guest), guest=claiming, meter=meter)
    repository.used_by(at_once(lambda clips: devices.change_clips(_modes(clips, guest))))
    server = make_server(
        settings, devices, ownership, access_policy, meter, stop, identity=guest.authenticator
    )
    port: int = listeners[0].socket.getsockname()[1]
    fleet = LocalFleet(devices, inventory, records=settings.http != OFF)
    context = Context(settings, port, repository, fleet, stop, shared_registry.text, channels)
    reload = partial(_reload, access_policy, context)
    news = Listener(ownership.moved, reclaimed=ownership.reclaimed)
    async with AsyncExitStack() as stack:
        for listener in listeners:
            await stack.enter_async_context(listener)
        if hangups:  # the process is the server's own
            await stack.enter_async_context(collecting(meter, settings.lead_ms / 1000))
        await stack.enter_async_context(meter.at_work())
        await stack.enter_async_context(access_policy.at_work())
        if hangups:
            await stack.enter_async_context(reload_on_hangup(reload, stop))
        await stack.enter_async_context(cluster.joined(news))
        await stack.enter_async_context(fleet.at_work())
        await stack.enter_async_context(open_pages(context))
        renew = partial(_renew, access_policy, context)
        await stack.enter_async_context(certificates.at_work(renew, meter.certificate_ends))
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(
            serve_on, listeners, server, devices, stop, settings.grace_s, settings.drain_s
        )
        context.ready.set()
        log.info("listening", host=settings.host, port=port, clips=len(repository.clips))
        started(OpenServer(port, devices, fleet, reload))
    log.info("stopped")


async def _open_ports(settings: Settings) -> list[trio.SocketListener]:
    """Listen on the port, and on that of the only worker where it has one. Raises `OSError`."""
    listeners = await open_listeners(settings.host, settings.port)
    if settings.worker_ports:
        try:
            listeners += await open_listeners(settings.host, settings.worker_ports)
        except BaseException:
            for listener in listeners:
                listener.socket.close()
            raise
    return listeners


def _modes(clips: Sequence[Clip], guest: Guest) -> Sequence[AudioSource]:
    return [*clips, *guest.sources] if guest.sources else clips


async def _reload(access_policy: AccessPolicy, context: Context) -> None:
    _renew(access_policy, context)
    await context.repository.reload_and_tell()


def _renew(access_policy: AccessPolicy, context: Context) -> None:
    access_policy.reload()
    context.reload()


async def serve_on(
    listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
    server: Server,
    devices: Devices,
    stop: trio.Event,
    grace_s: float,
    drain_s: float = 0.0,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `devices` until `stop` is set, then drain: one device after the other for `drain_s`,
    then all that are left within `grace_s`. Closes the listeners.

    `server` must serve the service of `devices`. A cancel ends all connections at once.
    """
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        await nursery.start(_abort_if_cancelled, server)
        async with trio.open_nursery() as connections:
            await connections.start(server.run, listeners)
            task_status.started()
            await stop.wait()
            log.info("stopping", drain_s=drain_s, grace_s=grace_s)
            if drain_s:
                await server.drain_gradually(drain_s)
            connections.cancel_scope.deadline = trio.current_time() + grace_s
            await _end(server, devices)
        nursery.cancel_scope.cancel()


async def _abort_if_cancelled(server: Server, *, task_status: trio.TaskStatus[None]) -> None:
    """End all connections without GOAWAYs when everything is cancelled; after a drain there are
    none."""
    try:
        task_status.started()
        await trio.sleep_forever()
    finally:
        server.abort()


async def _end(server: Server, devices: Devices) -> None:
    """End every take with its `is_end`, then every call with UNAVAILABLE."""
    server.stop_accepting()
    with trio.move_on_after(TAKES_END_S):
        await devices.end_takes()
    await server.drain()


async def load_repository(settings: Settings, progress: Progress | None = None) -> Repository:
    """Load the clips that the settings name. Raises `ClipError`."""
    return await open_repository(
        settings.clips,
        settings.cache,
        progress,
        settings.max_upload_mib,
        settings.cache_mib,
        settings.own_clips,
    )


def make_server(
    settings: Settings,
    devices: Devices,
    ownership: Ownership,
    access_policy: AccessPolicy,
    meter: Metrics,
    stop: trio.Event,
    *,
    identity: Authenticator | None = None,
) -> Server:
    """Return the gRPC server of `devices`, secured as the policy says; `identity` replaces the
    policy where a device shows its identity."""
    limits = make_limits(settings, most_connections())
    service = ClaimingService(devices, ownership, identity or access_policy, limits.presses)
    return Server(
        all_services(service, stop),
        limits=limits,
        trusted_proxies=settings.trusted_proxies,
        proxy_protocol=settings.proxy_protocol == "required",
        secure=access_policy.secure if access_policy.is_encrypted else None,
        busy=devices.peers_playing,
        meter=meter,
    )


def make_limits(settings: Settings, most_connections: int | None = None) -> LimitSettings:
    """Bounds of the connections: unless told otherwise, never fewer than devices are let in, and
    in any case no more than `most_connections`."""
    limits = settings.limits
    wanted = limits.max_connections
    if wanted == LimitSettings().max_connections:
        wanted = max(wanted, settings.max_devices)
    return replace(limits, max_connections=min(wanted, most_connections or wanted))


def make_devices(
    settings: Settings,
    clips: Sequence[AudioSource],
    *,
    store: ModeStore | None = None,
    guest: Guest | None = None,
    meter: Instrumentation | None = None,
) -> Devices:
    """Return devices as `settings` and the guest have them; without a store modes are in memory."""
    guest = guest or Guest(store=store)
    rules = Rules(
        clips=len(clips),
        play_while_playing=settings.play_while_playing,
        mode_while_playing=settings.mode_while_playing,
        stop_goes=settings.stop_goes,
    )
    devices = Devices(
        clips,
        rules,
        settings.lead_ms / 1000,
        stall_s=settings.limits.unread_s,
        max_devices=settings.max_devices,
        store=guest.store,
        behaviour=guest.behaviour,
        meter=meter,
    )
    lines = LogLimiter(EACH_DEVICE, ALL_DEVICES)
    devices.subscribe(EventLog(lines, presses=settings.log_level == "debug"))
    return devices
