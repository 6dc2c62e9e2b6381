"""Ogg Opus that a device can play as it is, is sent as it is; everything else is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clip_folder import load_one
from clip_sounds import chirp, heard, ogg_edited, ogg_packets, rms, sent, write_sound

from audio_server.clips.clip import Clip

SOUND = chirp(48_000, 1.3)


def passed_through(clip: Clip) -> bool:
    assert clip.source is not None
    return clip.source.passed_through


@pytest.mark.parametrize("bit_rate", ["8000", "24000", "96000"])
@pytest.mark.parametrize("vbr", ["on", "off"])
async def test_bit_for_bit(tmp_path: Path, bit_rate: str, vbr: str) -> None:
    options = {"b": bit_rate, "vbr": vbr, "frame_duration": "20"}
    path = write_sound(tmp_path / "a.opus", SOUND, codec="libopus", options=options)
    clip = await load_one(path)
    assert [packet.data for packet in sent(clip)] == ogg_packets(path.read_bytes())[2:]
    assert passed_through(clip)


async def test_a_take_is_framed_once(tmp_path: Path) -> None:
    clip = await load_one(write_sound(tmp_path / "a.opus", SOUND, codec="libopus"))
    packets = sent(clip)
    assert [packet.is_start for packet in packets] == [True] + [False] * (len(packets) - 1)
    assert [packet.is_end for packet in packets] == [False] * (len(packets) - 1) + [True]


async def test_two_chained_files_are_one_clip(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.opus", SOUND, codec="libopus")
    packets = ogg_packets(path.read_bytes())[2:]
    path.write_bytes(path.read_bytes() * 2)
    clip = await load_one(path)
    assert [packet.data for packet in sent(clip)] == packets * 2


@pytest.mark.parametrize(
    "how",
    [
        {"layout": "stereo"},
        {"options": {"frame_duration": "10"}},
        {"options": {"frame_duration": "60"}},
        {"container": "matroska"},
    ],
    ids=["stereo", "10 ms", "60 ms", "matroska"],
)
async def test_other_opus_is_encoded_again(tmp_path: Path, how: dict[str, Any]) -> None:
    clip = await load_one(write_sound(tmp_path / "a.opus", SOUND, codec="libopus", **how))
    assert not passed_through(clip)


async def test_gain_in_the_header_is_applied(tmp_path: Path) -> None:
    """A device does not see the header: what it asks for must be in the packets."""
    path = write_sound(tmp_path / "a.opus", SOUND, codec="libopus")
    head = ogg_packets(path.read_bytes())[0]
    quieter = head[:16] + (-6 * 256).to_bytes(2, "little", signed=True) + head[18:]
    path.write_bytes(ogg_edited(path.read_bytes(), head, quieter))
    clip = await load_one(path)
    assert not passed_through(clip)
    sound = heard([packet.data for packet in sent(clip)])
    assert rms(sound) / rms(SOUND) == pytest.approx(0.5, rel=0.05)


async def test_header_of_two_channels_is_not_mono(tmp_path: Path) -> None:
    """With more than one channel a packet may hold several streams (RFC 7845, section 3)."""
    path = write_sound(tmp_path / "a.opus", SOUND, codec="libopus")
    head = ogg_packets(path.read_bytes())[0]
    path.write_bytes(ogg_edited(path.read_bytes(), head, head[:9] + b"\2" + head[10:]))
    assert not passed_through(await load_one(path))


async def test_packets_that_do_not_decode_are_not_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header is fine, two frames of 10 ms, but they cannot be of one size: RFC 6716, R3."""
    path = write_sound(tmp_path / "a.opus", SOUND, codec="libopus", options={"vbr": "off"})
    packets = ogg_packets(path.read_bytes())
    size = len(packets[20]) - len(packets[20]) % 2
    broken = bytes([30 << 3 | 1]).ljust(size, b"x")
    data = ogg_edited(path.read_bytes(), packets[20][:size], broken)
    path.write_bytes(data)
    clip = await load_one(path)
    assert not passed_through(clip)
    heard([packet.data for packet in sent(clip)])
    assert "1 of" in caplog.text
    assert str(path) in caplog.text
