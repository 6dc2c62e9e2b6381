"""Live channels of the nodes of an engine: which node has the sender of each, and their sound.

On a link of its own: a reader that is too slow loses its connection, and nothing else must end with
it. A node without live channels has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import Any

import msgspec
import trio
from trio_util import AsyncValue

from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.leases import Holder, Lease, Leases
from audio_server.cluster.link import Link, Session
from audio_server.cluster.node_feeds import FeedEnd, Join, Joined, NodeFeed, Sound, node_channel

NEWS = "as:live"

RENEW_S = 1.0
"""How often leases are renewed, which last for three times as long."""

LAST_S = 1.0
"""How long the end of a node waits for its last commands."""


class _Held(msgspec.Struct, tag="held", array_like=True):
    key: str
    node: str
    name: str


class _Free(msgspec.Struct, tag="free", array_like=True):
    key: str
    node: str


_decoder = msgspec.msgpack.Decoder(_Held | _Free | Join | Joined | Sound)


class EngineFeeds:
    """Leases and feeds of a node over `link`."""

    def __init__(self, link: Link, meter: Instrumentation | None = None) -> None:
        self.is_up: AsyncValue[bool] = AsyncValue(False)
        self._link = link
        self._meter = meter or Instrumentation()
        self._leases = Leases(token_hex(8))
        self._feeds: dict[str, NodeFeed] = {}
        self._session: Session | None = None

    @property
    def name(self) -> str:
        """The name of this node."""
        return self._leases.name

    def lease(self, key: str, changed: Callable[[Holder | None], None]) -> Lease:
        """Return the lease of that key; see `Lease`."""
        return self._leases.make(f"as:live:{key}", changed)

    def feed(self, key: str, end: FeedEnd) -> NodeFeed:
        """Return the feed of that key."""
        feed = self._feeds[key] = NodeFeed(key, self._leases.node, self, end, self._meter)
        return feed

    @asynccontextmanager
    async def joined(self, name: str) -> AsyncIterator[None]:
        """Be a node with that name for the block. Its end waits `LAST_S` at most."""
        self._leases.name = name
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._link.run, self._begin, self._pushed)
            try:
                yield
            finally:
                with trio.move_on_after(LAST_S, shield=True), suppress(ClusterDown):
                    await self._leases.give_all_up()
            nursery.cancel_scope.cancel()

    async def _begin(self, session: Session) -> None:
        session.hear_bytes()
        session.subscribe(NEWS)
        session.subscribe(node_channel(self._leases.node))
        self._session = session
        for feed in self._feeds.values():
            feed.begin()
        try:
            await self._leases.renew(session)
            self._link.came_up()
            self.is_up.value = True
            while True:
                await trio.sleep(RENEW_S)
                await self._leases.renew(session)
                for feed in self._feeds.values():
                    feed.look()
        finally:
            self._session = None
            self.is_up.value = False
            self._leases.end()

    def _pushed(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        try:
            told = _decoder.decode(message[2])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # of another program
        if isinstance(told, _Held):
            self._leases.held(told.key, told.node, told.name)
        elif isinstance(told, _Free):
            self._leases.freed(told.key, told.node)
        elif (feed := self._feeds.get(told.key)) is None:
            return
        elif isinstance(told, Sound):
            feed.on_sound(told)
        elif isinstance(told, Joined):
            feed.on_joined(told)
        else:
            feed.on_join(told)

    # As the wire of the feeds

    def publish(self, heard: Callable[[Any], None], channel: str, data: bytes) -> None:
        """Send a message."""
        if self._session is None:
            heard(ClusterDown())
        else:
            self._session.send_command(heard, "PUBLISH", channel, data)

    def subscribe(self, channel: str) -> None:
        """Hear the messages of a channel in this session."""
        if self._session is not None:
            self._session.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        """Hear them no longer."""
        if self._session is not None:
            self._session.unsubscribe(channel)
