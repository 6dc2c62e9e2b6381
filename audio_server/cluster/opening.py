"""The cluster that the settings name."""

from __future__ import annotations

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import Cluster
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.device.mode_store import ModeStore
from audio_server.errors import SetupError
from audio_server.files.small_file import read_token
from audio_server.identity.tls import client_context
from audio_server.settings import Settings


def make_cluster(settings: Settings, store: ModeStore | None, meter: Instrumentation) -> Cluster:
    """Return the engine's cluster, or without one that of this process, which keeps modes in
    `store`. Reads files; raises `SetupError`."""
    if settings.cluster is None:
        meter.cluster_is(up=True)
        return LocalCluster(Hub(store))
    # Libraries that a server of one process does not need.
    from audio_server.cluster.link import Link
    from audio_server.cluster.scripts import read_scripts
    from audio_server.cluster.valkey import ValkeyCluster

    try:
        engine = parse_engine(settings.cluster)
    except ValueError as error:
        raise SetupError("--cluster", str(error)) from None
    file = settings.cluster_password_file
    link = Link(
        engine,
        read_scripts(),
        password=None if file is None else read_token(file),
        tls=client_context(settings.cluster_ca) if engine.is_tls else None,
        replicas=settings.cluster_replicas,
    )
    return ValkeyCluster(link, meter)


def refuse_workers(settings: Settings) -> None:
    """Raise `SetupError` for several workers with an engine."""
    if settings.cluster is not None:
        reason = "with --workers is not possible yet: start a server of one process for each core"
        raise SetupError("--cluster", reason)
