"""A clip in a list: its mode, its name, and its properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from audio_server.clips.clip import Source
from audio_server.clips.errors import as_text
from audio_server.clips.loader import Loaded
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

    def facts(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        return asdict(self)


def entries_of(loaded: Sequence[Loaded]) -> tuple[ClipInfo, ...]:
    """An entry for each clip; the index is its mode."""
    titles = titles_of(one.file for one in loaded)
    return tuple(
        _entry(mode, one, title)
        for mode, (one, title) in enumerate(zip(loaded, titles, strict=True))
    )


def _entry(mode: int, loaded: Loaded, title: str) -> ClipInfo:
    clip = loaded.clip
    return ClipInfo(
        mode,
        as_text(loaded.file),
        clip.name,
        as_text(title),
        clip.duration_s,
        clip.bit_rate_bps,
        clip.source,
    )
