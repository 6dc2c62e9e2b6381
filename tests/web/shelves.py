"""A shelf whose clips come from no folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audio_server.clips.clip import Clip
from audio_server.clips.library import Loaded
from audio_server.clips.shelf import Shelf

NOWHERE = Path("nowhere")


def shelf_of(clips: Sequence[Clip] = ()) -> Shelf:
    """As if these clips had been loaded."""
    loaded = [Loaded(f"{clip.name}.opus", clip.name, clip) for clip in clips]
    return Shelf(NOWHERE, NOWHERE, loaded)
