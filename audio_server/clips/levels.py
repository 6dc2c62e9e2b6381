"""How loud Opus packets are from moment to moment. Runs in a decoder process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av

from audio_server.clips.opus import PACKET_SAMPLES
from audio_server.clips.opus_decoder import opus_decoder
from audio_server.clips.records import LEVELS_A_PACKET

_FULL_SCALE = 32_768
_PART_SAMPLES = PACKET_SAMPLES // LEVELS_A_PACKET
_QUIET = bytes(LEVELS_A_PACKET)


def levels(packets: Iterable[bytes]) -> Iterator[bytes]:
    """The highest sample of each part of each packet, a byte; 0 for one that does not decode."""
    decoder = opus_decoder()
    for data in packets:
        try:
            (frame,) = decoder.decode(av.Packet(data))
        except (av.FFmpegError, ValueError):
            yield _QUIET
        else:
            yield _levels(memoryview(bytes(frame.planes[0])).cast("h")[:PACKET_SAMPLES])


def _levels(samples: memoryview[int]) -> bytes:
    parts = (samples[at : at + _PART_SAMPLES] for at in range(0, PACKET_SAMPLES, _PART_SAMPLES))
    return bytes(min(255, max(max(part), -min(part)) * 256 // _FULL_SCALE) for part in parts)
