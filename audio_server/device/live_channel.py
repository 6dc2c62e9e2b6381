"""A live channel: sound that comes in real time, framed once, for any number of devices.

Packets come to the edge of a ring by the clock of the server (`live_flow`). Each take has a place
in the ring (`live_take`), and packets are sent to all takes together (`live_push`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from math import inf
from typing import Protocol

import trio

from audio_server.device.instrumentation import Instrumentation
from audio_server.device.live_flow import LATE, Counts, Flow
from audio_server.device.live_push import Listener, Push, Pusher
from audio_server.device.live_take import LiveTake
from audio_server.device.timer_wheel import Timer, TimerWheel
from audio_server.wire.audio import PACKET_MS, frame_packet, unframe_packet

RING = 500
"""Packets that are kept: 10 s, more than any lead."""

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


class Relay(ChannelListener, Protocol):
    """Hands a channel on, with the sound that comes from other nodes."""

    @property
    def is_wanted(self) -> bool:
        """Whether it has followers."""

    def renewed(self) -> None:
        """All packets are others now: followers begin anew."""


class LiveChannel:
    """An `AudioSource` that one sender at a time puts packets into.

    Once the sender has gone, silence is sent for `patience_s`, and then takes end; another sender
    that comes meanwhile goes on with them. Only while there are takes, packets keep to the clock.
    """

    packets = None
    is_ready = True
    """Whether a take that begins now has its sound here."""

    is_elsewhere = False
    """Whether the sender is at another node of a cluster."""

    place: str | None = None
    """The name of the node with the sender, in a cluster."""

    def __init__(self, name: str, patience_s: float = 5.0) -> None:
        self.name = name
        self.counts = Counts()
        self.is_asked = False
        """Set when a take asks for packets, for an owner that clears it now and then."""
        self._patience_s = patience_s
        self._frames: deque[bytes] = deque(maxlen=RING)
        self._edge = 0
        self._is_sending = False
        self._gone_at = -inf
        self._listeners: tuple[ChannelListener, ...] = ()
        self._put_at = -inf
        self._flow: Flow | None = None
        self._pusher = Pusher(self)
        self._timer_wheel: TimerWheel | None = None
        self._timer: Timer | None = None

    def subscribe(self, listener: ChannelListener) -> None:
        """Call `listener` from now on."""
        self._listeners += (listener,)

    def relay_to(self, relay: Relay) -> None:
        """Call `relay` from now on."""
        self.subscribe(relay)

    def listen(self) -> None:
        """Note that a listener begins, which is no take."""

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
        now = self._put_at = trio.current_time()
        frame = frame_packet(packet)
        if self._flow is None or not self._pusher.has_listeners:
            self._end_flow()
            self._release([frame])
        else:
            self._release(self._flow.put(frame, now))
            if self._flow.holds:
                self._watch()
        for listener in self._listeners:
            listener.put(packet)

    def refill(self, packets: Iterable[bytes]) -> None:
        """Have these packets, which have come elsewhere, in the place of all that are kept."""
        self._frames.clear()
        self._put_at = trio.current_time()
        self._release([frame_packet(packet) for packet in packets])

    def _release(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            self._frames.append(frame)
            self._edge += 1
            self._pusher.moved(self._edge)

    @property
    def ahead(self) -> float:
        """By how many packets the edge is before its time, below 0 after it."""
        now = trio.current_time()
        if self._flow is not None and self._pusher.has_listeners:
            return self._flow.ahead(now)
        return max(-LATE, (self._put_at - now) / _PACKET_S)

    def start_push(
        self,
        period: int,
        push: Push,
        ended: Callable[[], None],
        timer_wheel: TimerWheel,
        meter: Instrumentation,
    ) -> Listener:
        """Call `push` for packets that come: see `Pusher.start`."""
        is_first = not self._pusher.has_listeners
        listener = self._pusher.start(period, push, ended, timer_wheel, meter)
        if self._flow is None or is_first:
            self._end_flow()
            now = trio.current_time()
            self._flow = Flow(self.counts, max(self._put_at, now - LATE * _PACKET_S))
            self._timer_wheel = timer_wheel
            self._watch()
        return listener

    def _watch(self) -> None:
        """Look at the flow when it is due, and from then on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._flow is not None and self._timer_wheel is not None:
            self._timer = self._timer_wheel.start(self._flow.next_at, self._look, _nothing)

    def _end_flow(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            self._release(flow.flush())

    def _look(self, now: float) -> float | None:
        """Release the packets that are due, and silence where none comes; return the time of the
        next look, None without a take."""
        flow = self._flow
        if flow is None or not self._pusher.has_listeners:
            self._end_flow()
            return None
        self.is_asked = True
        if self.is_over:
            self._pusher.end()
            return now + _PACKET_S
        self._release(flow.tick(now, is_sending=self._is_sending))
        return flow.next_at

    @property
    def patience_left_s(self) -> float:
        """For how long takes wait for another sender: below 0 where they have ended, inf while
        there is a sender."""
        return inf if self._is_sending else self._gone_at + self._patience_s - trio.current_time()

    def latest(self, most: int) -> list[bytes]:
        """Return the newest packets, oldest first: `most`, or all that are kept."""
        frames = [*self._frames, *(() if self._flow is None else self._flow.held)]
        return [unframe_packet(frame) for frame in frames[-most:]]

    def slice(self, start: int, stop: int) -> bytes:
        """Return packets by their numbers; none unless all are kept. Devices have takes of their
        own (`begin_take`)."""
        first = self.oldest
        if start < first:
            return b""
        return b"".join(islice(self._frames, start - first, stop - first))

    def begin_take(self, lead_s: float) -> LiveTake:
        """Return the source of one take, which sends its first `lead_s` at once."""
        return LiveTake(self, round(lead_s / _PACKET_S))


def _nothing() -> None:
    """Called after the last look."""
