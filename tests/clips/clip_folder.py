"""A folder that clips are added to, for the tests of adding, and the sound that is added."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

from clip_sounds import DELAY, chirp, heard, packets_for, sent, similarity

from audio_server.clips.clip import Clip
from audio_server.clips.loader import load_clips

SOUND = chirp(48_000, 1.0)


def pcm(samples: Sequence[float]) -> bytes:
    """As s16le."""
    return array("h", (round(sample * 32767) for sample in samples)).tobytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def load_one(path: Path) -> Clip:
    """Load the only clip of a folder."""
    (clip,) = await load_clips(path.parent, cache=path.parent / ".cache")
    return clip


async def last_clip(folder: Path) -> Clip:
    return (await load_clips(folder, cache=folder.parent / "cache"))[-1]


async def check_sound(folder: Path) -> None:
    """The last clip is `SOUND`, whole."""
    clip = await last_clip(folder)
    assert clip.packets == packets_for(len(SOUND))
    assert similarity(heard([packet.data for packet in sent(clip)])[DELAY:], SOUND) > 0.98
