"""When packets are heard: a player that starts at the first packet and plays all it gets."""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass

from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.simulator.events import PACKET_S, Disconnected, Event, PacketReceived

QUIETEST_DB = -60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """20 ms of sound: when it starts, how far into its take, how loud (0 quiet to 1 full)."""

    due_s: float
    position_s: float
    level: float


class Playout:
    """An observer that models the loudspeaker: the sound of the moment, and the sound that waits.

    A device that is off line is quiet at once: with its connection its sound is gone.
    """

    def __init__(self) -> None:
        self._decoder = OpusDecoder()
        self._waiting: deque[Heard] = deque()
        self._ends_s = float("-inf")
        self._position_s = 0.0

    def __call__(self, at_s: float, event: Event) -> None:
        if isinstance(event, PacketReceived):
            self._add(at_s, event)
        elif isinstance(event, Disconnected):
            self._waiting.clear()
            self._ends_s = at_s

    def _add(self, at_s: float, packet: PacketReceived) -> None:
        due_s = max(at_s, self._ends_s)
        position_s = 0.0 if packet.is_start else self._position_s
        level = loudness(self._decoder.decode(packet.data))
        self._waiting.append(Heard(due_s, position_s, level))
        self._ends_s, self._position_s = due_s + PACKET_S, position_s + PACKET_S

    def heard(self, at_s: float) -> Heard | None:
        """Return the sound of this moment, None in silence. Forgets the sound before it."""
        while self._waiting and self._waiting[0].due_s + PACKET_S <= at_s:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting and self._waiting[0].due_s <= at_s else None

    def ahead_s(self, at_s: float) -> float:
        """How many seconds of sound were received and not heard yet."""
        return max(0.0, self._ends_s - at_s)


def loudness(pcm: bytes) -> float:
    """How loud PCM is to an ear: 0 at -60 dB of full scale and below, 1 at full scale."""
    samples = array("h", pcm)
    power = sum(sample * sample for sample in samples) / max(1, len(samples))
    if power < 1:
        return 0.0
    decibels = 10 * math.log10(power / 32768**2)
    return max(0.0, 1 - decibels / QUIETEST_DB)
