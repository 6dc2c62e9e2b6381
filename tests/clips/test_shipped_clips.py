"""The clips that come with the server: five that can be told apart, small, ready to be sent."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from clip_sounds import heard, ogg_packets, rms, sent, similarity

from audio_server.clips.clip import Clip
from audio_server.clips.folder import clip_files, default_clips
from audio_server.clips.loader import load_clips

FOLDER = Path(__file__).parents[2] / "clips"


@pytest.fixture
async def clips(tmp_path: Path) -> list[Clip]:
    return await load_clips(FOLDER, cache=tmp_path)


@pytest.fixture
def sounds(clips: list[Clip]) -> list[list[float]]:
    """The first five seconds of each, as a device hears them."""
    return [heard([packet.data for packet in sent(clip)[:250]]) for clip in clips]


def test_they_are_the_default() -> None:
    assert [path.name for path in clip_files(default_clips())] == [
        "0-home.opus",
        "1-square.opus",
        "2-rhomboid.opus",
        "3-triangle.opus",
        "4-circle.opus",
    ]


def test_they_are_small() -> None:
    assert sum(file.path.stat().st_size for file in clip_files(FOLDER)) < 1_000_000


async def test_they_are_sent_as_they_are(clips: list[Clip]) -> None:
    for clip, file in zip(clips, clip_files(FOLDER), strict=True):
        assert clip.source is not None
        assert clip.source.passed_through
        assert [packet.data for packet in sent(clip)] == ogg_packets(file.path.read_bytes())[2:]


async def test_stop_means_something(clips: list[Clip]) -> None:
    assert max(clip.duration_s for clip in clips) > 60
    assert min(clip.duration_s for clip in clips) > 5


async def test_they_are_about_as_loud(sounds: list[list[float]]) -> None:
    levels = [rms(sound) for sound in sounds]
    assert min(levels) > 0.05
    assert max(levels) < 2 * min(levels)
    assert max(max(map(abs, sound)) for sound in sounds) < 0.99


async def test_they_are_different(sounds: list[list[float]]) -> None:
    assert all(abs(similarity(one, other)) < 0.3 for one, other in combinations(sounds, 2))
