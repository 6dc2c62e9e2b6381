"""Sound encoded while it comes: what a device hears of it, and sources that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from clip_sounds import DELAY, chirp, heard, similarity, write_sound

from audio_server.clips.errors import ClipError
from audio_server.clips.live_encoder import live_packets
from audio_server.clips.ogg import opus_pages
from audio_server.clips.ogg_opus import OpusStream

SOUND = chirp(48_000, 1.3)


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
    sound = heard(list(live_packets("tone", str(path))))
    alike = (similarity(SOUND[4000:40_000], sound[4000 + lag : 40_000 + lag]) for lag in lags)
    assert max(alike) > 0.98


def test_pages_are_read_back_whatever_their_parts(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.wav", SOUND)
    packets = list(live_packets("tone", str(path)))
    data = b"".join(opus_pages(packets, 7))
    for size in (1, 100, 5000):
        stream = OpusStream()
        parts = (data[at : at + size] for at in range(0, len(data), size))
        assert [packet for part in parts for packet in stream.push(part)] == packets


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.flac", SOUND, codec="flac")
    with path.open("rb") as pipe:
        assert list(live_packets("pipe", pipe)) == list(live_packets("file", str(path)))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no sound at all" * 100, "cannot be read"), (None, "cannot be read")]
)
def test_other_sources(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClipError, match=reason):
        list(live_packets("other", str(path)))
