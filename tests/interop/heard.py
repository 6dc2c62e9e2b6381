"""What a device makes of the packets of one audio stream: takes, and whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sound_files import PACKET_SAMPLES, decode
from stock_device import Packet

from audio_server.wire.audio import SILENCE

PACKET_S = 0.02
LEAD_S = 0.3
SOON_S = 1.0
"""What is prompt may take this long on a machine that is busy with other tests. A server that is
not prompt takes longer: it waits for a clip, for a patience, for ever."""


@dataclass(frozen=True)
class Take:
    """From an `is_start` to its `is_end`, or to the end of what was heard."""

    packets: list[Packet]

    @property
    def ended(self) -> bool:
        return self.packets[-1].is_end

    @property
    def data(self) -> list[bytes]:
        return [packet.data for packet in self.packets]

    @property
    def started_s(self) -> float:
        return self.packets[0].at_s

    def is_whole(self, clip: Sequence[bytes]) -> bool:
        """Whether it is the clip, bit for bit, with its end on its last real packet."""
        return self.ended and self.data == list(clip)

    def is_cut(self, clip: Sequence[bytes]) -> bool:
        """Whether it is the clip's beginning without a hole, and then the silence of a cut."""
        *sound, end = self.data
        return self.ended and end == SILENCE and sound == list(clip[: len(sound)])

    def is_beginning(self, clip: Sequence[bytes]) -> bool:
        """Whether it is what a take of the clip that was not ended may be."""
        return not self.ended and self.data == list(clip[: len(self.data)])

    def lead_s(self, asked_s: float) -> float:
        """How far it was, at the least, ever ahead of the server's clock for it.

        That starts when Play is pressed, or later: what holds a packet up adds no lead.
        """
        return max(
            (index + 1) * PACKET_S - (packet.at_s - asked_s)
            for index, packet in enumerate(self.packets)
        )

    def late_s(self) -> float:
        """How long a player that started with its first packet ever stood still."""
        return max(
            packet.at_s - self.started_s - index * PACKET_S
            for index, packet in enumerate(self.packets)
        )


def takes_of(packets: Sequence[Packet]) -> list[Take]:
    """The takes of one stream. Fails where it is not `(start middle* end)*`, or not Opus."""
    takes: list[list[Packet]] = []
    is_open = False
    for index, packet in enumerate(packets):
        assert packet.is_start is not is_open, f"packet {index}: {packet}"
        assert packet.data, f"packet {index} is empty"
        if packet.is_start:
            takes.append([])
        takes[-1].append(packet)
        is_open = not packet.is_end
    sound = decode([packet.data for packet in packets])
    assert {len(samples) for samples in sound} <= {PACKET_SAMPLES}
    return [Take(take) for take in takes]
