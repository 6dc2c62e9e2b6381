"""`audio-server clips move`, `remove` and `replace`: a folder of clips is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.settings import ConfigFile, Folder
from audio_server.validators import whole

HINT = "A server that runs reads its clips again on SIGHUP, or when its page is asked to."

Here = Annotated[Folder, Parameter(show_default=lambda _: "./clips")]
Mode = Annotated[int, whole(0)]
SoundFile = Annotated[Path, Parameter()]


def move(name: str, mode: Mode, /, *, clips: Here | None = None, config: ConfigFile = None) -> None:
    """Give a clip another mode; those behind it move up. Files get new numbers.

    Parameters
    ----------
    name: str
        The clip: its file, or that without the suffix, or without the number too.
    mode: int
        The mode that it gets.
    clips: Path
        Folder of clips.
    config: Path
        TOML file of settings, as the server has it.
    """
    from audio_server.clips.folder_ops import reorder

    folder, files, file = _find(clips, name)
    if mode >= len(files):
        raise CommandError(f"there are {len(files)} clips, so the last mode is {len(files) - 1}")
    files.remove(file)
    files.insert(mode, file)
    reorder(folder, files)
    tell(folder / _files(folder)[mode])


def remove(name: str, /, *, clips: Here | None = None, config: ConfigFile = None) -> None:
    """Delete the file of a clip; those behind it move up.

    Parameters
    ----------
    name: str
        The clip: its file, or that without the suffix, or without the number too.
    clips: Path
        Folder of clips.
    config: Path
        TOML file of settings, as the server has it.
    """
    from audio_server.clips import folder_ops

    folder, _, file = _find(clips, name)
    folder_ops.remove(folder, file)
    tell(folder / file)


def replace(
    name: str, file: SoundFile, /, *, clips: Here | None = None, config: ConfigFile = None
) -> None:
    """Have a clip be another sound file, of any format FFmpeg reads; it keeps mode and name.

    Parameters
    ----------
    name: str
        The clip: its file, or that without the suffix, or without the number too.
    file: Path
        The sound file.
    clips: Path
        Folder of clips.
    config: Path
        TOML file of settings, as the server has it.
    """
    import trio

    from audio_server.clips import folder_ops

    folder, _, old = _find(clips, name)
    tell(folder / folder_ops.replace(folder, old, trio.run(_opus, file)))


async def _opus(file: Path) -> bytes:
    import trio

    from audio_server.clips.convert import opus_of_file

    return await trio.to_thread.run_sync(opus_of_file, file)


def _find(clips: Path | None, name: str) -> tuple[Path, list[str], str]:
    """The folder, the files of its clips, and which of them is meant."""
    from audio_server.clips.naming import find

    folder = clips or Path("clips")
    files = _files(folder)
    return folder, files, find(files, name)


def _files(folder: Path) -> list[str]:
    from audio_server.clips.folder import clip_files

    return [file.name for file in clip_files(folder)]


def tell(path: Path) -> None:
    """What has changed; and, to somebody who reads it, how a server comes to know."""
    print(path)
    if sys.stderr.isatty():
        print(HINT, file=sys.stderr)
