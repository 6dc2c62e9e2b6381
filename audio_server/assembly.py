"""The parts of a server, made from its settings; `app` runs them as a tree of tasks."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

from audio_server.clips.clip import Clip
from audio_server.clips.loader import Progress
from audio_server.clips.repository import Repository, open_repository
from audio_server.cluster.interface import Cluster, Records
from audio_server.cluster.opening import make_nodes
from audio_server.cluster.ownership import ClaimingService, Ownership
from audio_server.cluster.peers import NodeFacts
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Behaviour, Rules
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.mode_store import ModeStore
from audio_server.device.registry import Devices
from audio_server.files.home import is_nowhere
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.event_log import EventLog
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.of_nodes import fleet_of_nodes
from audio_server.fleet.own_rows import own_fleet
from audio_server.groups.folders import Folders
from audio_server.groups.groups import Groups
from audio_server.groups.interface import Takers
from audio_server.groups.kept import KeptGroups
from audio_server.groups.profiles import Profiles
from audio_server.identity.access_policy import AccessPolicy
from audio_server.identity.authenticator import Authenticator
from audio_server.metrics.metrics import Metrics
from audio_server.process.addresses import open_listeners
from audio_server.process.log_limiter import ALL_DEVICES, EACH_DEVICE, LogLimiter
from audio_server.process.rlimits import most_connections
from audio_server.rpc.server import Server
from audio_server.service.services import all_services
from audio_server.settings import LimitSettings, Settings
from audio_server.settings.addresses import OFF

COUNTED_S = 1.0

if TYPE_CHECKING:
    from audio_server.cluster.engine_documents import EngineDocuments
    from audio_server.cluster.inventory import SharedInventory


@dataclass(frozen=True, slots=True)
class Guest:
    """The parts of a server that a program brings; None stands for the server's own."""

    behaviour: Behaviour | None = None
    sources: Sequence[AudioSource] = ()
    authenticator: Authenticator | None = None
    store: ModeStore | None = None


async def open_ports(settings: Settings) -> list[trio.SocketListener]:
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


def modes_of(clips: Sequence[Clip], guest: Guest) -> Sequence[AudioSource]:
    """Return the source of each mode: the clips, then the sources of the guest."""
    return [*clips, *guest.sources] if guest.sources else clips


async def load_repository(
    settings: Settings, progress: Progress | None = None, documents: EngineDocuments | None = None
) -> Repository:
    """Load the clips that the settings name, which those of a cluster in `documents` replace.
    Raises `ClipError`."""
    repository = await open_repository(
        settings.clips,
        settings.cache,
        progress,
        settings.max_upload_mib,
        settings.cache_mib,
        settings.own_clips,
        settings.loudness,
    )
    if documents is None:
        return repository
    from audio_server.cluster.shared_clips import SharedClips

    own = repository.folder, repository.cache, repository.loaded
    max_bytes = settings.max_upload_mib << 20
    return SharedClips(*own, documents, cluster=settings.cluster or "", max_bytes=max_bytes)


async def open_groups(
    settings: Settings,
    repository: Repository,
    fleet: Fleet,
    config: Path | None,
    documents: EngineDocuments | None = None,
) -> Groups:
    """Return the groups of a server; their clips share memory with those of the fleet. `config` is
    the settings file; the groups of the API are those of a cluster in `documents`. Raises
    `SetupError`."""
    data = None if is_nowhere(settings.data) else settings.data
    folders = Folders(repository.cache, lambda: repository.loaded)
    repository.share(lambda: folders.loaded)
    roots = [] if data is None else [data]
    options: dict[str, Any] = {
        "config": config,
        "roots": lambda: [repository.folder, *roots],
        "fleet": repository,
    }
    if documents is None:
        groups = Groups(fleet, folders, kept=KeptGroups(data), data=data, **options)
    else:
        from audio_server.cluster.shared_groups import SharedGroups

        groups = SharedGroups(fleet, folders, documents, cluster=settings.cluster or "", **options)
    await groups.open()
    fleet.follow_tags(groups)
    return groups


@asynccontextmanager
async def keeping_up(repository: Repository, groups: Groups) -> AsyncIterator[None]:
    """Keep up with clips and groups of a cluster for the block."""
    async with repository.at_work(), groups.at_work():
        yield


class LocalTakers(Takers):
    """The devices of this process; `sources` are modes after the clips of each group."""

    def __init__(self, devices: Devices, groups: Groups, sources: Sequence[AudioSource]) -> None:
        self._devices = devices
        self._groups = groups
        self._profiles = Profiles(lambda: devices.profile, sources)
        self._profiles.use(groups.clips)
        devices.use_profiles(lambda device_id: self._profiles.of(groups.of(device_id)))

    async def take(self) -> None:
        """Have all devices take their profiles, at once."""
        self._profiles.use(self._groups.clips)
        self._devices.change_profiles()

    def retag(self, device_id: str) -> None:
        """Have a device take its profile."""
        self._devices.change_profiles([device_id])


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
        brightness=settings.led_brightness,
    )
    lines = LogLimiter(EACH_DEVICE, ALL_DEVICES)
    devices.subscribe(EventLog(lines, presses=settings.log_level == "debug"))
    return devices


def make_own_fleet(
    settings: Settings,
    devices: Devices,
    inventory: InventoryStore | None,
    records: Records | None,
    away: SharedInventory | None,
) -> Fleet:
    """Return the fleet of the devices of this process; names and tags are in `records`, and the
    devices that are `away` too, if they are shared."""
    is_alone = settings.cluster is None
    keeps_history = settings.http != OFF or not is_alone  # other nodes have pages too
    here = DevicesHere(devices, records=keeps_history)
    return own_fleet(here, inventory, records, away)


def over_nodes(
    settings: Settings,
    own: Fleet,
    cluster: Cluster | None,
    counts: Callable[[], Counts],
    port: int,
    stop: trio.Event,
    away: SharedInventory | None,
    workers: int = 0,
) -> Fleet:
    """Return the fleet of all nodes that share an engine, of which this one has its `own`; without
    an engine that alone. `counts` are those of its devices, `port` names it, also among those that
    are `away`, `stop` is set when it drains, and it has so many `workers`. Reads files; raises
    `SetupError`."""
    if settings.cluster is None or cluster is None:
        return own
    facts = NodeReport(counts, node_name(port), stop)
    if away is not None:
        away.name = facts().name
    return fleet_of_nodes(own, make_nodes(settings, cluster, facts), facts, 1 + workers)


def node_name(port: int) -> str:
    """Return the name of this node for people."""
    return f"{socket.gethostname()}:{port}"


class Counts(NamedTuple):
    """How many devices a node has, and how many of them play, and cannot play."""

    devices: int
    playing: int
    failing: int


def counts_of(devices: Devices) -> Counts:
    """Return the counts of the devices of this process."""
    found = devices.by_id.values()
    playing = sum(device.is_playing for device in found)
    return Counts(len(found), playing, sum(bool(device.state.error) for device in found))


@asynccontextmanager
async def measuring(devices: Devices, meter: Metrics) -> AsyncIterator[None]:
    """Measure the loop, and count the devices that cannot play, for the block."""

    async def count() -> None:
        while True:
            meter.devices_failing(counts_of(devices).failing)
            await trio.sleep(COUNTED_S)

    async with meter.at_work(), trio.open_nursery() as nursery:
        nursery.start_soon(count)
        yield
        nursery.cancel_scope.cancel()


class NodeReport:
    """The facts of a node for its heartbeats; devices are counted once a second."""

    def __init__(self, counts: Callable[[], Counts], name: str, stop: trio.Event) -> None:
        self._counts = counts
        self._stop = stop
        self._facts = NodeFacts(name)
        self._counted_at = -inf

    def __call__(self) -> NodeFacts:
        """Return them."""
        if trio.current_time() - self._counted_at >= COUNTED_S:
            self._counted_at = trio.current_time()
            self._facts = self._facts._replace(**self._counts()._asdict())
        return self._facts._replace(is_draining=self._stop.is_set())
