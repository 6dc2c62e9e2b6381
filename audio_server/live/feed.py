"""Live channels with several processes: the process that has their senders offers each as a feed,
and a process with listeners follows it while there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import inf
from typing import Any, NoReturn

import trio

from audio_server.cluster.feeds import Feed, Feeds
from audio_server.cluster.interface import FeedClient
from audio_server.device.live_channel import RING, LiveChannel

READY_S = 1.0
"""How long a take waits for the first packets from the process that has them."""

LOOK_S = 1.0
"""Interval in which a process confirms packets, and ends to follow a channel without listeners."""

QUIET_LOOKS = 2
"""Looks at a channel for which no take has asked, before it is followed no more."""

BEGIN, PUT, END = "begin", "put", "end"


def _key(name: str) -> str:
    return f"live/{name}"


@contextmanager
def offering(channels: Sequence[LiveChannel], feeds: Feeds) -> Iterator[dict[str, Feed]]:
    """Offer channels to the nodes for the block; gives the feed of each by its name."""
    offers = {channel.name: _Offer(channel) for channel in channels}
    with ExitStack() as stack:
        for channel in channels:
            offer = offers[channel.name]
            stack.enter_context(feeds.offering(offer.feed))
            channel.relay_to(offer)
            stack.callback(channel.unsubscribe, offer)
        yield {name: offer.feed for name, offer in offers.items()}


class _Offer:
    """A `Relay` that hands all on to the feed of the channel."""

    def __init__(self, channel: LiveChannel) -> None:
        self._channel = channel
        self._lost = 0
        self.feed = Feed(_key(channel.name), self._state, self._noted)

    def began(self) -> None:
        self.feed.put([BEGIN])

    def put(self, packet: bytes) -> None:
        self.feed.put([PUT, packet])

    def ended(self) -> None:
        self.feed.put([END])

    @property
    def is_wanted(self) -> bool:
        return self.feed.followers > 0

    def renewed(self) -> None:
        self.feed.renew()

    def _state(self, is_first: bool) -> Any:
        if is_first:
            self._channel.listen()
        left_s = self._channel.patience_left_s
        is_here = is_first and self._channel.is_ready  # else `renewed` follows
        backlog = self._channel.latest(RING // 4) if is_here else None
        return [None if left_s == inf else left_s, backlog]

    def _noted(self, note: Sequence[int]) -> None:
        counts = self._channel.counts
        counts.add(note)
        counts.lost += self.feed.lost - self._lost
        self._lost = self.feed.lost


class FollowedChannel(LiveChannel):
    """A live channel whose senders are in another process."""

    def __init__(self, name: str, patience_s: float, feeds: FeedClient) -> None:
        super().__init__(name, patience_s)
        self._key = _key(name)
        self._feeds = feeds
        self._is_followed = False
        self._ready = trio.Event()
        self._number = 0
        self._quiet = 0

    @property
    def is_ready(self) -> bool:  # type: ignore[override]
        """Whether the packets are here that a take begins with."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return when they are, within `READY_S`."""
        with trio.move_on_after(READY_S):
            await self._ready.wait()

    def begin_take(self, lead_s: float) -> Any:
        """As `LiveChannel`; the channel is followed from now on."""
        self._follow()
        return super().begin_take(lead_s)

    def _follow(self) -> None:
        self._quiet = 0
        if not self._is_followed:
            self._is_followed = True
            self._ready = trio.Event()
            self._feeds.follow(self._key)

    def fed(self, number: int, data: Any) -> None:
        """Take data of the feed."""
        is_state = number == 0
        if not (self._ready.is_set() or (is_state and data[1] is not None)):
            return  # of an earlier time
        if is_state:
            self._begin(*data)
        elif data[0] == PUT:
            self.put(data[1])
        elif data[0] == BEGIN:
            self.begin()
        else:
            self.end()
        self._number = number

    def _begin(self, left_s: float | None, backlog: list[bytes] | None) -> None:
        self._is_sending = left_s is None
        if left_s is not None:
            self._gone_at = trio.current_time() + left_s - self._patience_s
        if backlog is not None:
            self.refill(backlog)
        self._ready.set()

    def look(self) -> None:
        """Confirm the packets that have come, and follow or not, as takes ask for packets."""
        is_asked, self.is_asked = self.is_asked, False
        if self._is_followed:
            self._confirm()
            self._quiet = 0 if is_asked else self._quiet + 1
            if self._quiet >= QUIET_LOOKS:
                self._is_followed = False
                self._feeds.unfollow(self._key)
        elif is_asked:  # a device reads again after a long time
            self._follow()

    def _confirm(self) -> None:
        self._feeds.heard(self._key, self._number, self.counts.taken())


class FollowedChannels:
    """All live channels of a process that has no senders; `fed` is for `Listener`."""

    def __init__(self, names: Sequence[str], patience_s: float, feeds: FeedClient) -> None:
        self.channels = [FollowedChannel(name, patience_s, feeds) for name in names]
        self._by_key = {_key(channel.name): channel for channel in self.channels}

    def fed(self, key: str, number: int, data: Any) -> None:
        """Take data of a feed."""
        self._by_key[key].fed(number, data)

    async def run(self) -> NoReturn:
        """Look at all channels, for ever."""
        while True:
            await trio.sleep(LOOK_S)
            for channel in self.channels:
                channel.look()
