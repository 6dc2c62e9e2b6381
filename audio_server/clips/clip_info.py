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
            mode=mode,
            file=as_text(one.file),
            name=one.clip.name,
            title=as_text(title),
            seconds=one.clip.duration_s,
            bit_rate_bps=one.clip.bit_rate_bps,
            source=one.clip.source,
        )
        for mode, (one, title) in enumerate(zip(loaded, titles, strict=True))
    )
