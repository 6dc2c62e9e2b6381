"""The waveform of a clip, drawn once and kept."""

from __future__ import annotations

from math import pi, sin
from pathlib import Path

import pytest
from clip_sounds import write_sound

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.loader import load_clips
from audio_server.clips.peaks import peaks
from audio_server.wire.audio import SILENCE

LEVELS = (0.8, 0.1, 0.4, 0.0)


@pytest.fixture
async def clip(tmp_path: Path) -> Clip:
    """A second of a tone at each of four levels."""
    (tmp_path / "clips").mkdir()
    sound = [level * sin(2 * pi * 440 * n / 48_000) for level in LEVELS for n in range(48_000)]
    write_sound(tmp_path / "clips" / "0.wav", sound)
    (clip,) = await load_clips(tmp_path / "clips", cache=tmp_path / "cache")
    return clip


async def test_it_is_as_loud_as_the_sound(clip: Clip, tmp_path: Path) -> None:
    found = await peaks(clip, 40, "key", Cache(tmp_path))
    assert len(found) == 40
    for second, level in enumerate(LEVELS):
        inside = found[10 * second + 2 : 10 * second + 8]
        assert inside == pytest.approx([level] * 6, abs=0.03)


@pytest.mark.parametrize("points", [1, 2, 7, 803, 804, 4000])
async def test_any_number_of_points(points: int, clip: Clip, tmp_path: Path) -> None:
    found = await peaks(clip, points, "key", Cache(tmp_path))
    assert len(found) == points
    assert max(found) == pytest.approx(0.8, abs=0.05)
    assert all(0 <= point <= 1 for point in found)


@pytest.mark.parametrize("points", [0, -1, 4001])
async def test_too_few_or_too_many(points: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 4000 points"):
        await peaks(Clip.from_packets("a", [SILENCE]), points, "key", Cache(tmp_path))


async def test_it_is_decoded_once(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    first = await peaks(clip, 100, "key", cache)
    kept = (tmp_path / "key.peaks").read_bytes()
    monkeypatch.setattr(Clip, "sound", lambda self: [SILENCE] * self.packets)
    assert await peaks(clip, 100, "key", cache) == first
    (tmp_path / "key.peaks").write_bytes(kept[:-1])
    assert max(await peaks(clip, 100, "key", cache)) == 0


async def test_without_a_cache(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert max(await peaks(clip, 10, "key", Cache(tmp_path / "file"))) > 0.7
