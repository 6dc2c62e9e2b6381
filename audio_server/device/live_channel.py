"""A live channel: sound that comes in real time, framed once, for any number of devices.

Packets are put at the edge of a ring; each take has a place in it, a little more than the lead
behind the edge when it begins, so that its first burst is there to be sent. From then on the clock
of the player moves the place and the source moves the edge, and the two drift apart:

- where the place meets the edge, a packet of silence is sent in the place of sound;
- where it was too far behind for `LOOK` packets in a row, so many packets are left out;
- a device that did not read for long goes on at the edge.

Whole packets are put in and left out, and counted: a source that is 500 ppm fast loses one packet
of 20 ms in 40 s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from math import inf
from typing import Protocol

import trio

from audio_server.device.audio_source import NoSound, SourceEnded
from audio_server.wire.audio import PACKET_MS, SILENCE, frame_packet, unframe_packet

RING = 500
"""Packets that are kept: 10 s, more than any lead."""

MARGIN = 2
"""Packets between a place and the edge right after a refill: the jitter of a source."""

SLACK = 3
"""Packets by which a place may be further behind."""

LOOK = 100

BEHIND_MAX = 250
"""A place that is further behind belongs to a device that did not read: it goes to the edge."""

REFILL = 5
"""Packets that a take sends in a wake: each waits for a tenth of a second at most."""

_PACKET_S = PACKET_MS / 1000
_SILENT = frame_packet(SILENCE)


class ChannelBusy(Exception):
    """The channel has a sender already."""


class ChannelListener(Protocol):
    """Takes part in all that comes to a channel. Called in the midst of it: each method must return
    at once, and raise nothing."""

    def began(self) -> None:
        """A sender has come."""

    def put(self, packet: bytes) -> None:
        """A packet of Opus has come."""

    def ended(self) -> None:
        """The sender has gone; another one may come."""


class LiveChannel:
    """An `AudioSource` that one sender at a time puts packets into.

    Once the sender has gone, silence is sent for `patience_s`, and then takes end; another sender
    that comes meanwhile goes on with them. `inserted` and `left_out` count packets of all takes,
    `lost` those that other processes were too slow to take.
    """

    packets = None
    is_ready = True
    """Whether a take that begins now has its sound here."""

    def __init__(self, name: str, patience_s: float = 5.0) -> None:
        self.name = name
        self.inserted = self.left_out = self.lost = 0
        self.is_asked = False
        """Set when a take asks for packets, for an owner that clears it now and then."""
        self._patience_s = patience_s
        self._frames: deque[bytes] = deque(maxlen=RING)
        self._edge = 0
        self._is_sending = False
        self._gone_at = -inf
        self._listeners: tuple[ChannelListener, ...] = ()

    def subscribe(self, listener: ChannelListener) -> None:
        """Call `listener` from now on."""
        self._listeners += (listener,)

    def unsubscribe(self, listener: ChannelListener) -> None:
        """Call `listener` no longer; it may have been removed already."""
        self._listeners = tuple(one for one in self._listeners if one is not listener)

    async def wait_ready(self) -> None:
        """Return when a take that has begun has its sound here, or should wait no longer."""

    @property
    def edge(self) -> int:
        """The number of packets that have come, and of the one that comes next."""
        return self._edge

    @property
    def oldest(self) -> int:
        """The number of the oldest packet that is kept."""
        return self._edge - len(self._frames)

    @property
    def is_sending(self) -> bool:
        """Whether there is a sender."""
        return self._is_sending

    @property
    def is_over(self) -> bool:
        """Whether the last sender has gone, and did not come back in time."""
        return self.patience_left_s <= 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Be the sender for the block. Raises `ChannelBusy`."""
        if self._is_sending:
            raise ChannelBusy
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Note that a sender has come."""
        if self.is_over:
            self._frames.clear()  # no device hears the end of an older programme
        self._is_sending = True
        for listener in self._listeners:
            listener.began()

    def end(self) -> None:
        """Note that the sender has gone."""
        self._is_sending = False
        self._gone_at = trio.current_time()
        for listener in self._listeners:
            listener.ended()

    def put(self, packet: bytes) -> None:
        """Add a packet of Opus, 20 ms and mono, at the edge. Never waits."""
        self._frames.append(frame_packet(packet))
        self._edge += 1
        for listener in self._listeners:
            listener.put(packet)

    @property
    def patience_left_s(self) -> float:
        """For how long takes wait for another sender: below 0 where they have ended, inf while
        there is a sender."""
        return inf if self._is_sending else self._gone_at + self._patience_s - trio.current_time()

    def latest(self, most: int) -> list[bytes]:
        """Return the newest packets, oldest first: `most`, or all that are kept."""
        first = max(0, len(self._frames) - most)
        return [unframe_packet(frame) for frame in islice(self._frames, first, None)]

    def frame(self, number: int) -> bytes:
        """Return a packet that is kept, framed."""
        return self._frames[number - self.oldest]

    def slice(self, start: int, stop: int) -> bytes:
        """Return kept packets by their numbers; devices have takes of their own (`begin_take`)."""
        first = self.oldest
        return b"".join(islice(self._frames, start - first, stop - first))

    def begin_take(self, lead_s: float) -> LiveTake:
        """Return the source of one take, which sends its first `lead_s` at once."""
        return LiveTake(self, round(lead_s / _PACKET_S))


class LiveTake:
    """The place of one device in a channel, an `AudioSource`. A position has what it had when it is
    asked for again; those before it are forgotten."""

    packets = None
    refill = REFILL

    def __init__(self, channel: LiveChannel, lead: int) -> None:
        self.name = channel.name
        self._channel = channel
        self._behind = lead + MARGIN
        self._place: int | None = None
        self._start = 0
        self._made: list[bytes] = []
        self._looked = 0
        self._least: float = inf

    def slice(self, start: int, stop: int) -> bytes:
        """Return the packets of positions. Raises `SourceEnded`, and `NoSound` at the beginning."""
        self._channel.is_asked = True
        if self._place is None and self._channel.is_over:
            raise NoSound(f"no sound is sent to {self.name}")
        del self._made[: start - self._start]
        self._start = start
        if not self._made and self._is_over():
            raise SourceEnded
        while len(self._made) < stop - start:
            self._made.append(self._next())
        frames = b"".join(self._made[: stop - start])
        return _begun(frames, self._made[0]) if start == 0 else frames

    @property
    def is_ready(self) -> bool:
        """As that of the channel."""
        return self._channel.is_ready

    async def wait_ready(self) -> None:
        """As that of the channel."""
        await self._channel.wait_ready()

    def _is_over(self) -> bool:
        channel, place = self._channel, self._place
        return place is not None and place >= channel.edge and channel.is_over

    def _next(self) -> bytes:
        channel = self._channel
        place = self._place = self._fitted(channel.edge)
        if place >= channel.edge:
            channel.inserted += 1
            return _SILENT
        self._place = place + 1
        return channel.frame(place)

    def _fitted(self, edge: int) -> int:
        """Return the place of the next packet, which is mostly the one after the last."""
        channel, place = self._channel, self._place
        if place is None:
            return max(channel.oldest, edge - self._behind)
        if edge - place > BEHIND_MAX:
            to = edge - self._behind
        else:
            to = place + self._too_far(edge - place - 1)
        to = max(to, channel.oldest)  # another programme has begun
        channel.left_out += to - place
        return to

    def _too_far(self, behind: int) -> int:
        """Return by how many packets the place was too far behind all the time."""
        self._least = min(self._least, behind)
        self._looked += 1
        if self._looked < LOOK:
            return 0
        excess = self._least - MARGIN
        self._looked, self._least = 0, inf
        return int(excess) if excess > SLACK else 0


def _begun(frames: bytes, first: bytes) -> bytes:
    """Return frames with `is_start` on the first."""
    return frame_packet(unframe_packet(first), is_start=True) + frames[len(first) :]
