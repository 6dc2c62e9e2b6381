"""Live channels of a node of a cluster: the sender of one may be at another node.

The node with the sender has the lease of the channel. The others follow its packets while they have
listeners, which are devices, or workers with devices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from math import inf
from typing import NoReturn

import structlog
import trio
from trio_util import AsyncValue

from audio_server.clips.opus import is_sendable, is_well_formed
from audio_server.cluster.engine_feeds import EngineFeeds
from audio_server.cluster.leases import Holder
from audio_server.device.live_channel import RING, ChannelBusy, ChannelListener, LiveChannel, Relay
from audio_server.device.live_take import LiveTake

READY_S = 1.0
"""How long a take waits for the first packets of another node."""

LOOK_S = 1.0
QUIET_LOOKS = 2
"""Looks at a channel without listeners, before it is followed no more."""

AWAY_S = 3.0
"""How long the engine may be away before a node reads the source of a channel for itself: less than
the patience of channels, more than a new primary takes."""

log = structlog.get_logger()


class SharedChannel(LiveChannel):
    """A `LiveChannel` that has one sender in the whole cluster, as far as its nodes can tell. A
    sender that another node has displaced is cancelled, and `sending` then raises `ChannelBusy`."""

    def __init__(self, name: str, patience_s: float, feeds: EngineFeeds) -> None:
        super().__init__(name, patience_s)
        self._feeds = feeds
        self._feed = feeds.feed(name, self)
        self._lease = feeds.lease(f"channel:{name}", self._held)
        self._sender: trio.CancelScope | None = None
        self._other: Holder | None = None
        self._own: tuple[ChannelListener, ...] = ()
        self._relays: tuple[Relay, ...] = ()
        self._ready = trio.Event()
        self._ready.set()
        self._followed_at = -inf
        self._quiet = 0

    @property
    def place(self) -> str | None:  # type: ignore[override]
        """The name of the node with the sender."""
        if self._other is not None:
            return self._other.name
        return None if self._sender is None else self._feeds.name

    @property
    def is_elsewhere(self) -> bool:  # type: ignore[override]
        """Whether the sender is at another node."""
        return self._other is not None

    # Listeners

    def subscribe(self, listener: ChannelListener) -> None:
        """Call `listener` with the sound of senders at this node."""
        self._own += (listener,)
        self._choose()

    def relay_to(self, relay: Relay) -> None:
        """Call `relay` with all sound."""
        self._relays += (relay,)
        self._choose()

    def unsubscribe(self, listener: ChannelListener) -> None:
        """Call `listener` no longer."""
        self._own = tuple(one for one in self._own if one is not listener)
        self._relays = tuple(one for one in self._relays if one is not listener)
        self._choose()

    def _choose(self) -> None:
        self._listeners = self._relays if self.is_elsewhere else (*self._own, *self._relays)

    # Senders

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Be the sender for the block. Raises `ChannelBusy`, also at its end."""
        if self._is_sending:
            raise ChannelBusy
        with trio.CancelScope() as sender:
            self._sender = sender
            self._feed.unfollow()
            self._ready.set()
            self.begin()
            self._lease.want()
            try:
                yield
            finally:
                if self._sender is sender:
                    self._sender = None
                    self._lease.drop()
                    self.end()
        if sender.cancel_called:
            raise ChannelBusy

    def put(self, packet: bytes) -> None:
        """Add a packet of the sender. Raises `ChannelBusy` for one that was displaced."""
        if self._sender is None:
            raise ChannelBusy
        super().put(packet)
        self._feed.put(packet)

    def latest_packets(self) -> list[bytes] | None:
        """As `FeedEnd`."""
        return None if self._sender is None else self.latest(RING // 4)

    def _held(self, holder: Holder | None) -> None:
        """Take the news of which node has the sender."""
        other = None if self._lease.is_here else holder
        if other is not None and self._sender is not None:
            log.warning("live sound is displaced", channel=self.name, node=other.name)
            sender, self._sender = self._sender, None
            sender.cancel()
            self._lease.drop()
            self.end()
        if other == self._other:
            return
        if self.is_elsewhere and other is None:
            self.end()
        was_elsewhere, self._other = self.is_elsewhere, other
        self._choose()
        if other is None:
            self._ready.set()
        elif not was_elsewhere:
            self.begin()
        self._feed.sender_is(None if other is None else other.node)
        if self._is_heard:
            self._follow(begins=False)

    @property
    def _has_takes(self) -> bool:
        return self.is_asked or self._pusher.has_listeners

    @property
    def _is_heard(self) -> bool:
        """Whether there were listeners lately."""
        return self._has_takes or any(relay.is_wanted for relay in self._relays)

    # Sound of another node

    @property
    def is_ready(self) -> bool:  # type: ignore[override]
        """Whether the packets are here that a take begins with."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return when they are, within `READY_S`."""
        with trio.move_on_after(READY_S):
            await self._ready.wait()
        if not self._ready.is_set():
            self._begin_all()  # without what came before

    def begin_take(self, lead_s: float) -> LiveTake:
        """As `LiveChannel`; the channel is followed from now on."""
        self.listen()
        return super().begin_take(lead_s)

    def listen(self) -> None:
        """Follow the sound of another node, for a listener that begins."""
        self._follow(begins=not self._has_takes)

    def _follow(self, *, begins: bool) -> None:
        self._quiet = 0
        if self._sender is None and not self._feed.is_followed:
            if begins and self.is_elsewhere:
                self._ready = trio.Event()
                self._followed_at = trio.current_time()
            self._feed.follow()

    def joined(self, packets: Sequence[bytes], missed: int) -> None:
        """As `FeedEnd`. Takes that play go on at the edge; the others begin before it."""
        self.counts.lost += missed
        if not self._ready.is_set():
            self.refill(filter(_is_playable, packets))
            self._begin_all()

    def fed(self, packets: Sequence[bytes], missed: int) -> None:
        """As `FeedEnd`."""
        self.counts.lost += missed
        for packet in filter(_is_playable, packets):
            super().put(packet)

    def _begin_all(self) -> None:
        self._ready.set()
        for relay in self._relays:
            relay.renewed()

    def look(self) -> None:
        """Follow another node or not, as takes ask for packets and workers follow."""
        is_heard, self.is_asked = self._is_heard, False
        if not self._ready.is_set() and trio.current_time() - self._followed_at >= READY_S:
            self._begin_all()
        if is_heard:
            self._follow(begins=False)
        elif self._feed.is_followed:
            self._quiet += 1
            if self._quiet >= QUIET_LOOKS:
                self._feed.unfollow()
                self._ready.set()


def _is_playable(packet: bytes) -> bool:
    """Return whether devices can play a packet of another node: one that is no Opus would break
    their sound for good."""
    return is_sendable(packet) and is_well_formed(packet)


class Turn:
    """Whether this node is the one that reads the source of a channel, in `is_here`."""

    def __init__(self, name: str, feeds: EngineFeeds) -> None:
        self.is_here: AsyncValue[bool] = AsyncValue(False)
        self._feeds = feeds
        self._lease = feeds.lease(f"source:{name}", lambda _: self._decide())
        self._down_since = -inf

    def begin(self) -> None:
        """Read the source as soon as it is this node's turn."""
        self._down_since = trio.current_time()
        self._lease.want()

    def look(self) -> None:
        """Read it too where the engine is away for long."""
        if self._feeds.is_up.value:
            self._down_since = trio.current_time()
        elif trio.current_time() - self._down_since >= AWAY_S:
            self.is_here.value = True

    def _decide(self) -> None:
        if self._lease.holder is not None:
            self.is_here.value = self._lease.is_here


class SharedLive:
    """The channels of a node, and the turns of those with a source."""

    def __init__(
        self, names: Sequence[str], sources: Sequence[str], patience_s: float, feeds: EngineFeeds
    ) -> None:
        self.channels = [SharedChannel(name, patience_s, feeds) for name in names]
        self._turns = {name: Turn(name, feeds) for name in sources}
        self.turns = {name: turn.is_here for name, turn in self._turns.items()}
        self._feeds = feeds

    @asynccontextmanager
    async def joined(self, node: str) -> AsyncIterator[None]:
        """Share them, as the node of that name, for the block."""
        for turn in self._turns.values():
            turn.begin()
        async with self._feeds.joined(node), trio.open_nursery() as nursery:
            nursery.start_soon(self._look)
            yield
            nursery.cancel_scope.cancel()

    async def _look(self) -> NoReturn:
        while True:
            await trio.sleep(LOOK_S)
            for channel in self.channels:
                channel.look()
            for turn in self._turns.values():
                turn.look()
