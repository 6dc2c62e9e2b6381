"""`audio-server clips add`: a sound file, or a recorder's output from a pipe, becomes a clip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token

from audio_server.cli import group_clips
from audio_server.cli.change import tell
from audio_server.cli.errors import CommandError
from audio_server.cli.group_clips import Group
from audio_server.cli.parameters import ClipsFolder
from audio_server.cli.remote import Remote
from audio_server.clips.errors import NotSound
from audio_server.settings.values import ConfigFile, whole

STDIN = Path("-")


def _source(_: Any, tokens: Sequence[Token]) -> Path:
    """A lone hyphen is standard input; anything else that begins with one is a mistyped flag."""
    text = tokens[0].value
    if text.startswith("-") and text != "-":
        raise ValueError(f"there is no such option: {text}")
    return Path(text)


def _raw(name: str, default: object) -> Parameter:
    return Parameter(name=name, show_default=lambda _: default)


Source = Annotated[Path, Parameter(converter=_source, allow_leading_hyphen=True)]
RateHz = Annotated[int, whole(8000, 384_000), _raw("--rate", 48_000)]
Channels = Annotated[int, whole(1, 8), _raw("--channels", 1)]
SampleFormat = Annotated[
    Literal["u8", "s8", "s16", "s24", "s32", "f32", "f64"], _raw("--format", "s16")
]


def add(
    file: Source,
    /,
    *,
    at: ClipsFolder | None = None,
    name: str | None = None,
    group: Group = None,
    remote: Remote | None = None,
    rate_hz: RateHz | None = None,
    channels: Channels | None = None,
    sample_format: SampleFormat | None = None,
    config: ConfigFile = None,
) -> None:
    """Add a clip that gets the next mode: a sound file of any common format, or a recording.

    Parameters
    ----------
    file: Path
        The file; - is standard input. Ctrl-C ends a recording.
    name: str
        Title of the clip, behind its number.  [default: the file's name]
    rate_hz: int
        Samples a second of raw sound. With one of these three options standard input is raw.
    channels: int
        Channels of raw sound.
    sample_format: str
        Samples of raw sound, little-endian.
    """
    import trio

    from audio_server.clips.add import add_clip

    given = {"rate_hz": rate_hz, "channels": channels, "sample_format": sample_format}
    raw: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if raw and file != STDIN:
        raise CommandError("--rate, --channels and --format are for raw sound on standard input")
    source = sys.stdin.buffer if file == STDIN else file
    at = at or ClipsFolder()
    add_to = partial(add_clip, source, name=name, loudness=at.loudness, **raw)
    try:
        if group is None:
            tell(trio.run(partial(add_to, folder=at.to_change())))
        elif file != STDIN:
            group_clips.add(remote, group, file, name)
        else:
            with TemporaryDirectory() as folder:
                recorded = trio.run(partial(add_to, folder=Path(folder)))
                group_clips.add(remote, group, recorded, name)
    except NotSound as error:
        if file != STDIN or raw:
            raise
        raise CommandError(f"{error}; for raw sound give --rate, --channels or --format") from error
