"""The live channels of a server, made from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.opening import make_feeds
from audio_server.device.live_channel import LiveChannel
from audio_server.errors import SetupError
from audio_server.files.home import is_nowhere
from audio_server.live.metrics import readings
from audio_server.live.recorder import recording
from audio_server.live.recordings import Recordings, packets_of
from audio_server.live.sources import reading
from audio_server.metrics.family import Reading
from audio_server.settings import Settings

if TYPE_CHECKING:
    from audio_server.live.shared import SharedLive


@dataclass(frozen=True, slots=True)
class Live:
    """The live channels of the process that has their senders, and the folder of recordings; None
    where nothing is kept."""

    channels: Sequence[LiveChannel]
    recordings: Recordings | None
    packets_max: int | None
    """The length of a recording; None where channels are not recorded."""

    urls: Mapping[str, str]
    """The sources of channels that have one, by the name of the channel."""

    hosts: Sequence[str] = ()
    """Other hosts to which they may lead."""

    shared: SharedLive | None = None
    """The channels, as the nodes of a cluster share them."""

    def readings(self) -> Iterator[Reading]:
        """Yield the counts of the channels for Prometheus."""
        return readings(self.channels)

    @asynccontextmanager
    async def at_work(self, node: str) -> AsyncIterator[None]:
        """Record the channels for the block, and read their sources, as the settings say; `node` is
        the name of this node in a cluster."""
        async with AsyncExitStack() as stack:
            if self.shared is not None:
                await stack.enter_async_context(self.shared.joined(node))
            if self.recordings is not None and self.packets_max is not None and self.channels:
                record = recording(self.channels, self.recordings, self.packets_max)
                await stack.enter_async_context(record)
            if self.urls:
                turns = {} if self.shared is None else self.shared.turns
                read = reading(self.channels, self.urls, self.hosts, turns)
                await stack.enter_async_context(read)
            yield


def live_of(settings: Settings, meter: Instrumentation) -> Live:
    """Return the live channels that the settings name. Raises `SetupError` where they are to be
    recorded and there is no folder for that. Reads files."""
    urls, patience_s = dict(settings.live_sources), settings.live_patience_s
    shared: SharedLive | None = None
    channels: Sequence[LiveChannel] = [LiveChannel(name, patience_s) for name in settings.channels]
    if settings.cluster is not None and channels:
        from audio_server.live.shared import SharedLive  # a library that one process does not need

        feeds = make_feeds(settings, meter)
        shared = SharedLive(settings.channels, list(urls), patience_s, feeds)
        channels = shared.channels
    if settings.data is None or is_nowhere(settings.data):
        if settings.record:
            raise SetupError("--record", "there is no data folder; name one with --data FOLDER")
        return Live(channels, None, None, urls, settings.live_allow_hosts, shared)
    keep_s = settings.record_days * 24 * 3600
    recordings = Recordings(settings.data / "recordings", settings.record_mib << 20, keep_s)
    packets_max = packets_of(settings.record_minutes) if settings.record else None
    return Live(channels, recordings, packets_max, urls, settings.live_allow_hosts, shared)
