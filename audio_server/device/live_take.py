"""The place of one device in a live channel.

All places are at the edge, which is on the clock of the server (`live_flow`), so a device that is
sent each packet as it comes has as many in hand all the time: its lead, less the packets by which
the edge may be before its time. A device that did not read, or stood still, goes on at the edge.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from audio_server.device.audio_source import NoSound, SourceEnded
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.live_flow import EARLY
from audio_server.device.live_push import Listener, Push
from audio_server.device.timer_wheel import TimerWheel
from audio_server.wire.audio import IS_START_BYTES, started, starts_of

if TYPE_CHECKING:
    from audio_server.device.live_channel import LiveChannel

BATCH: Final = 8
"""Packets that a device is sent at once: the first of them waits for 140 ms."""

_ROUNDING: Final = 1e-6


class LiveTake:
    """The sound of one take of a channel. `place` is the number of the next packet."""

    __slots__ = ("_channel", "_has_begun", "_lead", "_period", "name", "place")

    def __init__(self, channel: LiveChannel, lead: int) -> None:
        self.name = channel.name
        self.place = channel.edge
        self._channel = channel
        self._lead = lead
        self._period = min(BATCH, (lead + 1) // 2)
        self._has_begun = False

    @property
    def is_ready(self) -> bool:
        """As that of the channel."""
        return self._channel.is_ready

    async def wait_ready(self) -> None:
        """As that of the channel."""
        await self._channel.wait_ready()

    def start(
        self,
        push: Push,
        ended: Callable[[], None],
        timer_wheel: TimerWheel,
        meter: Instrumentation,
    ) -> Listener:
        """Have the channel call `push` for its packets: see `Pusher.start`."""
        return self._channel.start_push(self._period, push, ended, timer_wheel, meter)

    def room(self, most: int, *, is_dry: bool) -> int:
        """Return how many packets to send now, of the `most` that the lead allows.

        A device that `is_dry` has no sound left, or had none yet: it goes on at the edge, and so
        does one that cannot be given all that has come.
        """
        channel = self._channel
        channel.is_asked = True
        place = max(self.place, channel.oldest) if self._has_begun else channel.oldest
        if is_dry or channel.edge - place > most:
            early = min(EARLY - channel.ahead, self._lead / 2)
            most = max(0, math.floor(most - early + _ROUNDING))
            place = max(place, channel.edge - most)
        if not self._has_begun:
            place = channel.edge if channel.is_over else place
        else:
            channel.counts.skipped += place - self.place
        self.place = place
        return channel.edge - place or int(channel.is_over)  # `slice` then says that it is

    def fitting(self, room: int, most: int) -> int:
        """Return how many of the next packets a room holds, at least one of `most`."""
        frames = self._channel.slice(self.place, self.place + most)
        if len(frames) + IS_START_BYTES <= room:
            return most
        return max(1, bisect_right(list(starts_of(frames)), room - IS_START_BYTES) - 1)

    def slice(self, start: int, stop: int) -> bytes:
        """Return the next packets, as many as positions. Raises `SourceEnded`, and `NoSound` at the
        beginning."""
        if self.place == self._channel.edge:
            if self._has_begun:
                raise SourceEnded
            raise NoSound(f"no sound is sent to {self.name}")
        place, self.place = self.place, self.place + stop - start
        frames = self._channel.slice(place, self.place)
        if self._has_begun:
            return frames
        self._has_begun = True
        return started(frames)
