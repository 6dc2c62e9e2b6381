"""A new clip at the end of a folder, from a file or from what a recorder writes to a pipe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import trio

from audio_server.clips.errors import ClipError
from audio_server.clips.folder import find_clips

STDIN = "standard input"
"""What stands for the name of a file in errors about a stream."""


async def add_clip(
    source: Path | BinaryIO,
    folder: Path,
    *,
    name: str | None = None,
    rate_hz: int = 48_000,
    channels: int = 1,
    sample_format: str = "s16le",
) -> Path:
    """Add a clip that comes last in `folder` and so gets the next mode; returns its path.

    A file is copied where the server would pass it through, and made into such an Ogg
    Opus file otherwise. A stream is read until it ends: raw PCM as the last three
    arguments say, or a sound file, which is told by its first bytes. SIGINT ends a stream
    like its end does, since Ctrl-C is how one stops a recorder; so call this in the main
    thread. The stream stays the caller's to close.

    The file is called by a number that sorts last and `name` (by default the source's).
    It appears whole or not at all, whether this fails or is cancelled, and never in
    place of another. Raises `ClipError`; `folder` is made where there is none.
    """
    title = name or _title(source)
    if "/" in title or "\0" in title:
        raise ClipError(repr(title), "is no name for a file")
    # FFmpeg is loaded by those who use it, not by those who ask what there is to use.
    from audio_server.clips.convert import opus_of_file
    from audio_server.clips.recording import record

    if isinstance(source, Path):
        opus = await trio.to_thread.run_sync(opus_of_file, source)
    else:
        opus = await record(
            source, STDIN, rate_hz=rate_hz, channels=channels, sample_format=sample_format
        )
    return await trio.to_thread.run_sync(_place, folder, title, opus)


def _title(source: Path | BinaryIO) -> str:
    """What a clip is called by default: without the number that its source may have."""
    if isinstance(source, Path):
        return re.sub(r"^\d+[-_ ]+", "", source.stem)
    return "recording"


def _place(folder: Path, title: str, opus: bytes) -> Path:
    """Write under a hidden name, which is no clip, then link it to where it is to be."""
    temporary = folder / f".{uuid4().hex}.part"
    try:
        folder.mkdir(exist_ok=True)
        target = folder / f"{_last_stem(find_clips(folder), title)}.opus"
        try:
            temporary.write_bytes(opus)
            _move_to_new(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ClipError(folder, f"cannot be written to ({error.strerror})") from error
    return target


def _move_to_new(temporary: Path, target: Path) -> None:
    """Move a file to where there must be none: linking does both in one step."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise ClipError(target, "exists already") from None
    except OSError:
        # A file system without links, such as that of a memory card.
        if target.exists():
            raise ClipError(target, "exists already") from None
        temporary.rename(target)


def _last_stem(files: list[Path], title: str) -> str:
    """A name without suffix that sorts after all `files`.

    One more than the last number, as wide as it is; where that would not come last (9 is
    followed by 10, or there are no numbers), the last name with `title` behind it.
    """
    if not files:
        return f"00-{title}"
    last = files[-1]
    digits = "".join(re.findall(r"^\d+", last.name))
    stem = f"{int(digits or -1) + 1:0{len(digits)}}-{title}"
    return stem if f"{stem}.opus" > last.name else f"{last.stem}_{title}"
