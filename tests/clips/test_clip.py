"""A clip: packets framed once, cut into slices that are ready to be sent."""

from __future__ import annotations

import pytest

from audio_server.clips.clip import Clip
from audio_server.wire.audio import frame_packet

PACKETS = [b"one", b"two two", b"three"]


def test_slices_are_whole_messages() -> None:
    clip = Clip.from_packets("a", PACKETS)
    first, middle, last = (clip.slice(index, index + 1) for index in range(3))
    assert first == frame_packet(b"one", is_start=True)
    assert middle == frame_packet(b"two two")
    assert last == frame_packet(b"three", is_end=True)
    assert clip.slice(0, 3) == first + middle + last == clip.frames


def test_clip_of_one_packet_opens_and_closes_itself() -> None:
    clip = Clip.from_packets("a", [b"one"])
    assert clip.frames == frame_packet(b"one", is_start=True, is_end=True)


def test_figures_are_those_of_the_sound() -> None:
    clip = Clip.from_packets("a", PACKETS)
    assert (clip.packets, clip.duration_s, clip.sound_bytes) == (3, 0.06, 15)
    assert clip.bit_rate_bps == 2000


@pytest.mark.parametrize("packets", [[], [b""], [b"one", b"", b"three"], [b"one", bytes(1277)]])
def test_packets_are_neither_empty_nor_padded(packets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="clip 'a'"):
        Clip.from_packets("a", packets)
