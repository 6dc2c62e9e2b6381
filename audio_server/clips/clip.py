"""A clip as it is played: ready-made gRPC bytes, shared by every device that plays it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from audio_server.clips.encoded_clip import Source
from audio_server.clips.opus import PACKET_MAX_BYTES
from audio_server.wire.audio import PACKET_MS, frame_packet, starts_of, unframe_packet


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound that can be sent as it is.

    `frames` holds one gRPC message a packet, back to back, the first with `is_start`
    and the last with `is_end`; `offsets[i]` is where packet `i` begins, and the last
    of its `packets + 1` entries is the end. Immutable, so any number of takes read it
    at once.
    """

    name: str
    frames: bytes = field(repr=False)
    offsets: Sequence[int] = field(repr=False)
    source: Source | None = None
    sound_bytes: int = 0
    """Size of the Opus packets alone, without their framing."""

    @classmethod
    def from_packets(
        cls, name: str, packets: Sequence[bytes], source: Source | None = None
    ) -> Clip:
        """Frame Opus packets (48 kHz, mono, 20 ms each).

        Raises `ValueError` where there are none, or one is empty or larger than
        `PACKET_MAX_BYTES`: a device turns an empty packet into 120 ms of made-up sound (device
        contract, section 2), and a burst of large ones would cut its listener off.
        """
        if not packets or not all(0 < len(one) <= PACKET_MAX_BYTES for one in packets):
            bounds = f"1 to {PACKET_MAX_BYTES} bytes"
            raise ValueError(f"clip {name!r}: a clip is made of Opus packets of {bounds}")
        last = len(packets) - 1
        framed = [
            frame_packet(data, is_start=index == 0, is_end=index == last)
            for index, data in enumerate(packets)
        ]
        offsets = array("L", accumulate(map(len, framed), initial=0))
        return cls(name, b"".join(framed), offsets, source, sum(map(len, packets)))

    @classmethod
    def from_frames(cls, name: str, frames: bytes, source: Source | None, sound_bytes: int) -> Clip:
        """Return the clip of which these are the `frames`."""
        return cls(name, frames, array("L", starts_of(frames)), source, sound_bytes)

    def called(self, name: str) -> Clip:
        """The same sound by another name: it is not copied."""
        return self if name == self.name else replace(self, name=name)

    @property
    def packets(self) -> int:
        """How many packets of 20 ms the clip has."""
        return len(self.offsets) - 1

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return self.packets * PACKET_MS / 1000

    @property
    def bit_rate_bps(self) -> int:
        """Average bit rate of the Opus that is sent, in bits a second."""
        return round(self.sound_bytes * 8 / self.duration_s)

    def sound(self) -> Iterator[bytes]:
        """The Opus packets, one after the other."""
        for start, stop in pairwise(self.offsets):
            yield unframe_packet(self.frames[start:stop])

    def slice(self, start: int, stop: int) -> bytes:
        """The gRPC bytes of packets `start` to `stop` (exclusive)."""
        return self.frames[self.offsets[start] : self.offsets[stop]]
