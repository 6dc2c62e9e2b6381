"""A shelf whose clips come from no folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.repository import Repository

NOWHERE = Path("nowhere")


def shelf_of(clips: Sequence[Clip] = (), cache: Path = NOWHERE) -> Repository:
    """As if these clips had been loaded."""
    loaded = [Loaded(f"{clip.name}.opus", clip.name, clip) for clip in clips]
    return Repository(NOWHERE, cache, loaded)
