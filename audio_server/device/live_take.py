"""The place of one device in a live channel.

It is a little more than the lead behind the edge when a take begins, so that the first burst is
there to be sent. From then on the clock of the player moves the place and the source moves the
edge, and the two drift apart:

- where the place meets the edge, a packet of silence is sent in the place of sound;
- where it was too far behind for `LOOK` packets in a row, so many packets are left out;
- a device that did not read for long goes on at the edge.

Whole packets are put in and left out, and counted: a source that is 500 ppm fast loses one packet
of 20 ms in 40 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from audio_server.device.audio_source import NoSound, SourceEnded
from audio_server.wire.audio import SILENCE, frame_packet, unframe_packet

if TYPE_CHECKING:
    from audio_server.device.live_channel import LiveChannel

MARGIN = 2
"""Packets between a place and the edge right after a refill: the jitter of a source."""

SLACK = 3
"""Packets by which a place may be further behind."""

LOOK = 100

BEHIND_MAX = 250
"""A place that is further behind belongs to a device that did not read: it goes to the edge."""

REFILL = 5
"""Packets that a take sends in a wake: each waits for a tenth of a second at most."""

_SILENT = frame_packet(SILENCE)


class Run(NamedTuple):
    """Packets that follow each other, framed, and the same joined."""

    frames: Sequence[bytes]
    joined: bytes


_NO_RUN = Run((), b"")


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
        self._made: Sequence[bytes] = ()
        self._looked = 0
        self._least: float = inf

    def slice(self, start: int, stop: int) -> bytes:
        """Return the packets of positions. Raises `SourceEnded`, and `NoSound` at the beginning."""
        self._channel.is_asked = True
        if self._place is None and self._channel.is_over:
            raise NoSound(f"no sound is sent to {self.name}")
        is_next = start - self._start == len(self._made)
        if is_next and (run := self._regular(stop - start)) is not _NO_RUN:
            self._start, self._made = start, run.frames
            return run.joined
        made = list(self._made[start - self._start :])
        self._start, self._made = start, made
        if not made and self._is_over():
            raise SourceEnded
        while len(made) < stop - start:
            made.append(self._next())
        frames = b"".join(made[: stop - start])
        return _begun(frames, made[0]) if start == 0 else frames

    def _regular(self, count: int) -> Run:
        """Fast path of `_next`, for packets that follow the last one and are all there; without
        any of them it leaves the work to that.

        Invariant: the place, the count of looks and the least distance are then those that `_next`
        would have left. Benchmark: `python -m benchmarks.live`.
        """
        channel, place = self._channel, self._place
        if place is None:
            return _NO_RUN
        behind, looked = channel.edge - place - count, self._looked + count
        is_there = 0 <= behind <= BEHIND_MAX - count and place >= channel.oldest
        if not is_there or looked >= LOOK:
            return _NO_RUN
        self._looked, self._place = looked, place + count
        self._least = min(self._least, behind)
        return channel.run(place, count)

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
