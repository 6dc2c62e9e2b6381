"""A live channel: sound that comes in real time, framed once, for any number of devices.

Packets are put at the edge of a ring, in which each take has a place (`live_take`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from math import inf
from typing import Protocol

import trio

from audio_server.device.live_take import LiveTake, Run
from audio_server.wire.audio import PACKET_MS, frame_packet, unframe_packet

RING = 500
"""Packets that are kept: 10 s, more than any lead."""

RUNS = 8
"""Runs of packets that are kept joined: takes that are served in one tick mostly ask for the same
few."""

_PACKET_S = PACKET_MS / 1000


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
        self._runs: dict[tuple[int, int], Run] = {}

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

    def run(self, place: int, count: int) -> Run:
        """Return kept packets, which all takes that ask for them share."""
        key = place, count
        if (run := self._runs.get(key)) is None:
            if len(self._runs) >= RUNS:
                self._runs.clear()
            first = place - self.oldest
            frames = tuple(islice(self._frames, first, first + count))
            run = self._runs[key] = Run(frames, b"".join(frames))
        return run

    def slice(self, start: int, stop: int) -> bytes:
        """Return kept packets by their numbers; devices have takes of their own (`begin_take`)."""
        first = self.oldest
        return b"".join(islice(self._frames, start - first, stop - first))

    def begin_take(self, lead_s: float) -> LiveTake:
        """Return the source of one take, which sends its first `lead_s` at once."""
        return LiveTake(self, round(lead_s / _PACKET_S))
