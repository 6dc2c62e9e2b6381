"""`audio-server clips add`: a sound file, or raw sound, becomes a clip in the folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from audio_server.cli.errors import CommandError
from audio_server.cli.raw_sound import RawSound, SampleFormat, as_sound_file
from audio_server.settings import ConfigFile, ExactInt, Folder

STDIN = Path("-")

RateHz = Annotated[
    ExactInt | None, Parameter(name="--rate", validator=Number(gte=8000, lte=384_000))
]


def _source(_: Any, tokens: Sequence[Token]) -> Path:
    """A lone hyphen is standard input; anything else that begins with one is a mistyped flag."""
    text = tokens[0].value
    if text.startswith("-") and text != "-":
        raise ValueError(f"there is no such option: {text}")
    return Path(text)


Source = Annotated[Path, Parameter(converter=_source, allow_leading_hyphen=True)]
Into = Annotated[Folder, Parameter(show_default=lambda _: "./clips")]
Channels = Annotated[ExactInt, Parameter(validator=Number(gte=1, lte=8))]


def add(
    file: Source,
    /,
    *,
    clips: Into | None = None,
    name: str | None = None,
    rate_hz: RateHz = None,
    channels: Channels = 1,
    format: SampleFormat = "s16",
    config: ConfigFile = None,
) -> None:
    """Make a clip of a file of any format FFmpeg reads, or of raw sound from standard input.

    Parameters
    ----------
    file: Path
        The file, or - for standard input.
    clips: Path
        Folder of clips that it is put into.
    name: str
        Name of the clip; its place among the names gives its mode.  [default: the file's]
    rate_hz: int
        What is read is raw PCM of so many samples a second.
    channels: int
        Channels of raw PCM.
    format: str
        Samples of raw PCM, little-endian.
    config: Path
        TOML file of settings, as the server has it.
    """
    raw = RawSound(rate_hz, channels, format) if rate_hz else None
    folder = clips or Path("clips")
    target = folder / f"{_name(name, file)}.opus"
    if target.exists():
        raise CommandError(f"{target}: there is a clip of this name already")
    with _opened(file) as source, as_sound_file(source, raw) as sound:
        _write(target, file, sound)
    print(f"{target}: mode {_mode(target)}")


def _name(name: str | None, file: Path) -> str:
    from audio_server.clips.folder import is_clip_name

    chosen = name or ("recording" if file == STDIN else file.stem)
    if "/" in chosen or not is_clip_name(f"{chosen}.opus"):
        raise CommandError(f"--name: {chosen!r} is no name for a file of sound")
    return chosen


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


def _write(target: Path, file: Path, sound: BinaryIO) -> None:
    """Whole or not at all: a server that starts meanwhile never sees half a clip."""
    from audio_server.cli.progress import clip_progress
    from audio_server.clips.ingest import ingest
    from audio_server.clips.ogg import write_opus

    shown = Path("standard input") if file == STDIN else file
    with clip_progress() as progress:
        if progress:
            progress(0, 1)
        prepared = ingest(shown, sound, checkpoint=lambda: None)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as out:
            write_opus(out, prepared.packets)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def _mode(target: Path) -> int:
    from audio_server.clips.folder import clip_files

    return clip_files(target.parent).index(target)
