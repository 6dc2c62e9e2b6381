"""A clip in a list: its mode, its name, and its properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audio_server.clips.clip_reader import Loaded
from audio_server.clips.encoded_clip import Source
from audio_server.clips.errors import as_text
from audio_server.clips.naming import titles_of


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """The clip of a mode, in text alone. `name` is `file` without its suffix, and `title` is `name`
    without the number that puts it in its place."""

    mode: int
    file: str
    name: str
    title: str
    seconds: float
    bit_rate_bps: int
    source: Source | None = None


def entries_of(loaded: Sequence[Loaded]) -> tuple[ClipInfo, ...]:
    """An entry for each clip; the index is its mode."""
    titles = titles_of(one.file for one in loaded)
    return tuple(
        ClipInfo(
            mode,
            as_text(file),
            clip.name,
            as_text(title),
            clip.duration_s,
            clip.bit_rate_bps,
            clip.source,
        )
        for mode, (file, clip, title) in enumerate(
            (one.file, one.clip, title) for one, title in zip(loaded, titles, strict=True)
        )
    )
