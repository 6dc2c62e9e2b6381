"""Sound of any number of channels, in any layout and shape, is mixed down to mono."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import pytest
from clip_sounds import DELAY, chirp, heard, rms, sent, similarity

from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipDamaged
from audio_server.clips.loader import load_clips

SOUND = chirp(48_000, 0.3)
_GUID = bytes.fromhex("000000001000800000aa00389b71")
PCM, FLOAT = 1, 3
SCALE = {(PCM, 8): 127, (PCM, 16): 32_767, (PCM, 24): 8_388_607, (PCM, 32): 2_147_483_647}


def wav(
    channels: int,
    *,
    mask: int = 0,
    kind: int = PCM,
    bits: int = 16,
    rate_hz: int = 48_000,
    only: int | None = None,
) -> bytes:
    """A WAV file as mixers and field recorders write it; with `only` the others are silent."""
    frames = b"".join(
        b"".join(
            _sample(value if only in (None, channel) else 0.0, kind, bits)
            for channel in range(channels)
        )
        for value in chirp(rate_hz, 0.3)
    )
    size = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE, channels, rate_hz, rate_hz * size, size, bits)
    form += struct.pack("<HHIH", 22, bits, mask, kind) + _GUID
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(frames)) + frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _sample(value: float, kind: int, bits: int) -> bytes:
    if kind == FLOAT:
        return array("d" if bits == 64 else "f", [value]).tobytes()
    whole = round(value * SCALE[kind, bits])
    if bits == 8:
        return bytes([whole + 128])
    return whole.to_bytes(bits // 8, "little", signed=True)


async def load_one(path: Path, data: bytes) -> Clip:
    (path / "a.wav").write_bytes(data)
    (clip,) = await load_clips(path, cache=path / ".cache")
    return clip


def check(clip: Clip, loudness: float = 1.0) -> None:
    sound = heard([packet.data for packet in sent(clip)])
    assert similarity(sound[DELAY:], SOUND) > 0.97
    assert rms(sound[DELAY : DELAY + len(SOUND)]) / rms(SOUND) == pytest.approx(loudness, rel=0.1)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 8, 9, 10, 11, 16, 17, 23, 24, 25, 32, 63, 64])
async def test_channels_without_a_layout(tmp_path: Path, channels: int) -> None:
    clip = await load_one(tmp_path, wav(channels))
    check(clip)
    assert clip.source is not None
    assert clip.source.channels == channels


@pytest.mark.parametrize("only", [0, 8, 11])
async def test_every_channel_is_heard(tmp_path: Path, only: int) -> None:
    check(await load_one(tmp_path, wav(12, kind=FLOAT, bits=32, only=only)), 1 / 12)


LAYOUTS = {
    "left and LFE": (2, 0x9),
    "left, LFE and top": (3, 0x1009),
    "four on top": (4, 0xF000),
    "two of centre": (2, 0xC0),
    "top centre alone": (1, 0x800),
    "9": (9, 0x1FF),
    "18": (18, 0x3FFFF),
    "5.1": (6, 0x3F),
    "7.1": (8, 0x63F),
    "more loudspeakers than channels": (2, 0x3F),
    "fewer loudspeakers than channels": (6, 0x3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_odd_layouts(tmp_path: Path, layout: str) -> None:
    channels, mask = LAYOUTS[layout]
    check(await load_one(tmp_path, wav(channels, mask=mask)))


SHAPES = {
    "8 bits": (PCM, 8, 48_000),
    "24 bits": (PCM, 24, 48_000),
    "32 bits at 192 kHz": (PCM, 32, 192_000),
    "float at 8 kHz": (FLOAT, 32, 8_000),
    "double at 96 kHz": (FLOAT, 64, 96_000),
}


@pytest.mark.parametrize("channels", [2, 11])
@pytest.mark.parametrize("shape", SHAPES)
async def test_all_shapes(tmp_path: Path, shape: str, channels: int) -> None:
    kind, bits, rate_hz = SHAPES[shape]
    check(await load_one(tmp_path, wav(channels, kind=kind, bits=bits, rate_hz=rate_hz)))


@pytest.mark.parametrize("channels", [65, 100, 255])
async def test_more_than_can_be_mixed(tmp_path: Path, channels: int) -> None:
    with pytest.raises(ClipDamaged, match=rf"\({channels} channels are more than the 64 that"):
        await load_one(tmp_path, wav(channels, rate_hz=8_000))
