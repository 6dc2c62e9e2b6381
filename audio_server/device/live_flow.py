"""The clock of a live channel: packets of its source, released at the pace of the server's clock.

A packet that comes in time is released at once. The clock of the source, and the way from it, make
packets early or late:

- early by more than `EARLY`: they are held, and left out where the last `LOOK` all were too early;
- late by more than `LATE`: a packet of silence is released in the place of sound.

So a source that is 500 ppm fast loses one packet of 20 ms in 40 s, and one whose packets come in
bursts is held back by as much as it needs. A device that has as many packets in hand as `EARLY` and
`LATE` together is neither given more than its lead nor left without sound.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audio_server.wire.audio import PACKET_MS, SILENCE, frame_packet

EARLY, LATE = 2, 4
"""Packets by which the release may be before its time, and after it."""

LOST = 10
"""Packets of silence that are released at once."""

LOOK = 100
"""Twice as many are held at most: the excess of a whole look is left out at its end."""

_PACKET_S = PACKET_MS / 1000
_SILENT = frame_packet(SILENCE)
_ROUNDING = 1e-6


@dataclass
class Counts:
    """Corrections of a channel, in packets, and the times at which its source gave none in time."""

    inserted: int = 0
    """Packets of silence in the place of sound."""

    left_out: int = 0
    """Packets of a source that was ahead."""

    skipped: int = 0
    """Packets that devices missed which did not read; of each device."""

    lost: int = 0
    """Packets that other processes were too slow to take, or that did not come from one."""

    underruns: int = 0

    def taken(self) -> list[int]:
        """Return all counts, which are 0 again."""
        values = list(vars(self).values())
        vars(self).update(vars(Counts()))
        return values

    def add(self, values: Iterable[int]) -> None:
        """Add counts that were taken elsewhere."""
        for name, value in zip(vars(self), values, strict=True):
            setattr(self, name, getattr(self, name) + value)


class Flow:
    """The packets between a source and the edge of its channel, framed. Without I/O.

    `begun` is the time of the packet before the first one. Times are seconds of one clock.
    """

    def __init__(self, counts: Counts, begun: float) -> None:
        self._counts = counts
        self._begun = begun
        self._released = 0
        self._held: deque[bytes] = deque()
        self._is_silent = False
        self._looked = 0
        self._least = math.inf

    def ahead(self, now: float) -> float:
        """Return by how many packets the release is before its time, below 0 after it."""
        return self._released - (now - self._begun) / _PACKET_S

    @property
    def next_at(self) -> float:
        """When `tick` has something to do."""
        spare = 1 - EARLY if self._held else LATE
        return self._begun + (self._released + spare) * _PACKET_S

    @property
    def held(self) -> Sequence[bytes]:
        """The packets that are held, framed."""
        return tuple(self._held)

    @property
    def holds(self) -> bool:
        """Whether packets are held."""
        return bool(self._held)

    def put(self, frame: bytes, now: float) -> list[bytes]:
        """Take a packet of the source; return those that are released."""
        self._held.append(frame)
        excess = self.ahead(now) + len(self._held) - EARLY
        self._look(min(excess, len(self._held)))
        return self._due(now)

    def tick(self, now: float, *, is_sending: bool) -> list[bytes]:
        """Return the packets that are released at a time, and silence where none has come.

        Where that comes later than `LOST`, this process had no time: its clock is set back.
        """
        if released := self._due(now):
            return released
        late = math.floor(-LATE - self.ahead(now) + _ROUNDING) + 1
        if self._held or late <= 0:
            return []
        silent = min(late, LOST)
        self._begun += (late - silent) * _PACKET_S
        self._counts.inserted += silent
        self._counts.underruns += is_sending and not self._is_silent
        self._is_silent = True
        self._released += silent
        return [_SILENT] * silent

    def flush(self) -> list[bytes]:
        """Release all that is held."""
        held = list(self._held)
        self._held.clear()
        self._released += len(held)
        return held

    def _due(self, now: float) -> list[bytes]:
        room = math.floor(EARLY - self.ahead(now) + _ROUNDING)
        released = [self._held.popleft() for _ in range(min(room, len(self._held)))]
        if released:
            self._released += len(released)
            self._is_silent = False
        return released

    def _look(self, excess: float) -> None:
        """Leave out packets that were too many all the time."""
        self._least = min(self._least, excess)
        self._looked += 1
        if self._looked == LOOK:
            if self._least > _ROUNDING:
                self._leave_out(min(math.ceil(self._least), len(self._held)))
            self._looked, self._least = 0, math.inf

    def _leave_out(self, packets: int) -> None:
        for _ in range(packets):
            self._held.popleft()
        self._counts.left_out += packets
