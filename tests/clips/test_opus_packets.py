"""The TOC of RFC 6716, section 3.1: what is mono and 20 ms may be sent as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from clip_sounds import chirp, ogg_packets, write_sound

from audio_server.clips.opus import is_sendable, packet_samples
from audio_server.wire.audio import SILENCE

# The table of the RFC, in tenths of a millisecond.
SILK, HYBRID, CELT = (100, 200, 400, 600), (100, 200), (25, 50, 100, 200)
FRAME_TENTHS = SILK * 3 + HYBRID * 2 + CELT * 4


@pytest.mark.parametrize("config", range(32))
def test_length_of_a_frame_follows_the_table(config: int) -> None:
    assert packet_samples(bytes([config << 3, 0])) == FRAME_TENTHS[config] * 48 // 10


@pytest.mark.parametrize(
    ("code", "frames"), [(b"\x00", 1), (b"\x01", 2), (b"\x02", 2), (b"\x03\x04", 4)]
)
def test_frames_are_counted_by_the_code(code: bytes, frames: int) -> None:
    celt_5_ms = 29 << 3
    assert packet_samples(bytes([celt_5_ms | code[0]]) + code[1:] + b"sound") == frames * 240


def test_count_byte_holds_flags_too() -> None:
    celt_10_ms_counted = 30 << 3 | 3
    assert packet_samples(bytes([celt_10_ms_counted, 0xC2, 0])) == 960


@pytest.mark.parametrize("packet", [b"", b"\xfb"], ids=["empty", "count is missing"])
def test_packet_without_a_whole_header_has_no_length(packet: bytes) -> None:
    assert packet_samples(packet) == 0
    assert not is_sendable(packet)


def test_silence_is_sendable_but_not_in_stereo() -> None:
    assert is_sendable(SILENCE)
    assert not is_sendable(bytes([SILENCE[0] | 0x04]) + SILENCE[1:])


@pytest.mark.parametrize("frame_ms", ["2.5", "5", "10", "20", "40", "60"])
def test_packets_of_a_real_encoder(tmp_path: Path, frame_ms: str) -> None:
    path = write_sound(
        tmp_path / "a.opus",
        chirp(48_000, 0.3),
        codec="libopus",
        options={"frame_duration": frame_ms},
    )
    packets = ogg_packets(path.read_bytes())[2:]
    assert {packet_samples(packet) for packet in packets} == {float(frame_ms) * 48}
    assert all(is_sendable(packet) for packet in packets) == (frame_ms == "20")
