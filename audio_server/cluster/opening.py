"""The cluster that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import Cluster
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.cluster.peers import NodeFacts
from audio_server.device.instrumentation import Instrumentation as DeviceMeter
from audio_server.device.mode_store import ModeStore
from audio_server.errors import SetupError
from audio_server.files.small_file import read_token
from audio_server.identity.tls import client_context
from audio_server.settings import Settings

if TYPE_CHECKING:
    from audio_server.cluster.engine_documents import EngineDocuments
    from audio_server.cluster.engine_feeds import EngineFeeds
    from audio_server.cluster.engine_nodes import EngineNodes
    from audio_server.cluster.inventory import SharedInventory
    from audio_server.cluster.link import Link
    from audio_server.cluster.records import SharedRecords
    from audio_server.cluster.valkey import ValkeyCluster


class Shared(NamedTuple):
    """The cluster, and the rest that its nodes share; None where there are no others."""

    cluster: Cluster
    records: SharedRecords | None = None
    documents: EngineDocuments | None = None
    inventory: SharedInventory | None = None


class SharedHub(NamedTuple):
    """As `Shared`, for the workers of a machine, which are nodes of the hub; `cluster` is the
    engine's."""

    hub: Hub
    records: SharedRecords | None = None
    documents: EngineDocuments | None = None
    inventory: SharedInventory | None = None
    cluster: Cluster | None = None


def make_cluster(settings: Settings, store: ModeStore | None, meter: Instrumentation) -> Shared:
    """Return the engine's cluster, or without one that of this process, which keeps modes in
    `store`. Reads files; raises `SetupError`."""
    if settings.cluster is None:
        meter.cluster_is(up=True)
        return Shared(LocalCluster(Hub(store)))
    return Shared(*_make_valkey(settings, meter))


def make_hub(
    settings: Settings, store: ModeStore | None, meter: Instrumentation, devices: DeviceMeter
) -> SharedHub:
    """Return what the workers of a machine share: a part of the engine's cluster, or without one
    the whole, which keeps modes in `store`. Reads files; raises `SetupError`."""
    if settings.cluster is None:
        meter.cluster_is(up=True)
        return SharedHub(Hub(store, devices))
    from audio_server.cluster.machine import MachineHub

    shared = _make_valkey(settings, meter)
    return SharedHub(MachineHub(shared[0], devices), *shared[1:], shared[0])


def _make_valkey(
    settings: Settings, meter: Instrumentation
) -> tuple[ValkeyCluster, SharedRecords, EngineDocuments, SharedInventory]:
    # Libraries that a server of one process does not need.
    from audio_server.cluster.engine_documents import EngineDocuments
    from audio_server.cluster.inventory import SharedInventory
    from audio_server.cluster.records import SharedRecords
    from audio_server.cluster.scripts import read_scripts
    from audio_server.cluster.valkey import ValkeyCluster

    records, documents, inventory = SharedRecords(), EngineDocuments(), SharedInventory()
    link = _make_link(settings, read_scripts(), replicas=settings.cluster_replicas)
    cluster = ValkeyCluster(link, meter, parts=[records, documents, inventory])
    inventory.node = cluster.node
    return cluster, records, documents, inventory


def make_nodes(settings: Settings, cluster: Cluster, facts: Callable[[], NodeFacts]) -> EngineNodes:
    """Return the other nodes of the engine's `cluster`, as this one asks them, on a link of its
    own; `facts` are told to them. Reads files; raises `SetupError`."""
    from audio_server.cluster.engine_nodes import EngineNodes
    from audio_server.cluster.valkey import ValkeyCluster

    assert isinstance(cluster, ValkeyCluster)
    said = {"up": "other nodes can be reached", "down": "other nodes cannot be reached"}
    return EngineNodes(cluster.node, _make_link(settings, {}, warns=False, **said), facts)


def make_feeds(settings: Settings, meter: Instrumentation) -> EngineFeeds:
    """Return what the live channels of the engine's nodes share, on a link of its own. Reads files;
    raises `SetupError`."""
    from audio_server.cluster.engine_feeds import EngineFeeds
    from audio_server.cluster.scripts import read_lease_scripts

    said = {"up": "live channels are shared", "down": "live channels are not shared"}
    return EngineFeeds(_make_link(settings, read_lease_scripts(), warns=False, **said), meter)


def make_tokens(
    settings: Settings,
) -> tuple[SharedRecords | None, AbstractAsyncContextManager[None]]:
    """Return the records with the tokens of a cluster, for a process that is no node, and the block
    in which they are kept up with; None where no such tokens are needed. Reads files; raises
    `SetupError`."""
    if settings.cluster is None or settings.tokens == "off":
        return None, nullcontext()
    from audio_server.cluster.records import SharedRecords
    from audio_server.cluster.records_link import following

    records = SharedRecords()
    return records, following(make_records_link(settings), records)


def make_records_link(settings: Settings) -> Link:
    """Return a link for records alone. Reads files; raises `SetupError`."""
    from audio_server.cluster.scripts import read_scripts

    said = {"up": "records of devices can be read", "down": "records of devices cannot be read"}
    replicas = settings.cluster_replicas
    return _make_link(settings, read_scripts(), replicas=replicas, **said)


def _make_link(settings: Settings, scripts: Mapping[str, str], **options: Any) -> Link:
    from audio_server.cluster.link import Link

    try:
        engine = parse_engine(settings.cluster or "")
    except ValueError as error:
        raise SetupError("--cluster", str(error)) from None
    file = settings.cluster_password_file
    return Link(
        engine,
        scripts,
        password=None if file is None else read_token(file),
        tls=client_context(settings.cluster_ca) if engine.is_tls else None,
        **options,
    )
