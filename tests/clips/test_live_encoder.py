"""Sound encoded while it comes: what a device hears of it, and sources that are none."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from clip_sounds import DELAY, chirp, heard, similarity, write_sound

from audio_server.clips.errors import ClipError
from audio_server.clips.live_encoder import live_packets
from audio_server.clips.ogg import opus_pages
from audio_server.clips.ogg_opus import OpusStream

SOUND = chirp(48_000, 1.3)


def packets_of(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return list(live_packets(path.name, file))


@pytest.mark.parametrize(
    ("codec", "suffix", "rate_hz", "lags"),
    [
        ("flac", "flac", 48_000, range(DELAY - 3, DELAY + 4)),
        ("libmp3lame", "mp3", 44_100, range(DELAY, DELAY + 2400, 2)),
    ],
)
def test_a_device_hears_the_source(
    codec: str, suffix: str, rate_hz: int, lags: range, tmp_path: Path
) -> None:
    path = tmp_path / f"tone.{suffix}"
    write_sound(path, chirp(rate_hz, 1.3), codec=codec, rate_hz=rate_hz)
    sound = heard(packets_of(path))
    alike = (similarity(SOUND[4000:40_000], sound[4000 + lag : 40_000 + lag]) for lag in lags)
    assert max(alike) > 0.98


def test_pages_are_read_back_whatever_their_parts(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.wav", SOUND)
    packets = packets_of(path)
    data = b"".join(opus_pages(packets, 7))
    for size in (1, 100, 5000):
        stream = OpusStream()
        parts = (data[at : at + size] for at in range(0, len(data), size))
        assert [packet for part in parts for packet in stream.push(part)] == packets


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.flac", SOUND, codec="flac")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as begin:
        thread = threading.Thread(target=lambda: (begin.write(path.read_bytes()), begin.close()))
        thread.start()
        assert list(live_packets("pipe", pipe)) == packets_of(path)
        thread.join()


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100])
def test_other_sources(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    path.write_bytes(content)
    with pytest.raises(ClipError, match="cannot be read"):
        packets_of(path)
