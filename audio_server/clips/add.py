"""A new clip at the end of a folder, from a file or from a recorder's output in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import trio

from audio_server.clips.convert import opus_of_file
from audio_server.clips.folder_ops import place
from audio_server.clips.loader import find_left_out
from audio_server.clips.naming import clean_title, title_of_file
from audio_server.clips.recording import record_file, record_raw
from audio_server.clips.suffixes import check_complete

STDIN = "standard input"
"""The name of a stream in errors, in the place of a file's."""


_RAW: dict[str, Any] = {"rate_hz": 48_000, "channels": 1, "sample_format": "s16le"}


async def add_clip(
    source: Path | BinaryIO,
    folder: Path,
    *,
    name: str | None = None,
    rate_hz: int | None = None,
    channels: int | None = None,
    sample_format: str | None = None,
    loudness: int | None = None,
) -> Path:
    """Add a clip that comes last in `folder` and so gets the next mode; returns its path.

    A file is copied where the server would pass it through, and made into such an Ogg
    Opus file otherwise, at `loudness` LUFS if that is given. A stream is read until it ends. It is
    a sound file of any format that the server takes; or raw PCM where one of the three arguments
    about samples is given, which are 48,000, 1 and "s16le" by default. That is as loud as it comes,
    since it is encoded meanwhile. SIGINT ends a stream like its end does, since Ctrl-C is how one
    stops a recorder; so call this in the main thread. The stream stays the caller's to close.

    The file is called by a number that sorts last and `name` (by default the source's).
    It appears whole or not at all, whether this fails or is cancelled, and never in
    place of another. Raises `ClipError`; `folder` is made where there is none.
    """
    title = clean_title(name or _title(source))
    if isinstance(source, Path):
        check_complete(source.name)
    raw = {"rate_hz": rate_hz, "channels": channels, "sample_format": sample_format}
    given = {key: value for key, value in raw.items() if value is not None}
    if isinstance(source, Path):
        opus = await opus_of_file(source, loudness)
    elif given:
        opus = await record_raw(source, STDIN, **_RAW | given)
    else:
        opus = await record_file(source, STDIN, loudness)
    left_out = await find_left_out(folder)
    return folder / await trio.to_thread.run_sync(place, folder, title, opus, left_out)


def _title(source: Path | BinaryIO) -> str:
    """Return the default title of a clip: without the number that its source may have."""
    return title_of_file(source.name) if isinstance(source, Path) else "recording"
