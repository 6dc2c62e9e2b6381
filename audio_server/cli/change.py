"""`audio-server clips move`, `remove`, `rename` and `replace`: a folder of clips is changed."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from audio_server.cli import group_clips
from audio_server.cli.errors import CommandError
from audio_server.cli.group_clips import Group
from audio_server.cli.parameters import ClipsFolder
from audio_server.cli.remote import Remote
from audio_server.process.output import say, say_error
from audio_server.settings.values import ConfigFile, whole

HINT = (
    "A server that runs reads its clips again on SIGHUP, or when its page is asked to. Clips of a "
    "cluster are changed on the page of clips, and not by a folder."
)

Name = Annotated[
    str,
    Parameter(help="The clip: its file, or that without the suffix, or without the number too."),
]
Title = Annotated[str, Parameter(help="Its new title, without number and suffix.")]
Mode = Annotated[int, whole(0), Parameter(help="The mode that it gets.")]
SoundFile = Annotated[Path, Parameter(help="The sound file.")]


def move(
    name: Name,
    mode: Mode,
    /,
    *,
    at: ClipsFolder | None = None,
    group: Group = None,
    remote: Remote | None = None,
    config: ConfigFile = None,
) -> None:
    """Give a clip another mode; those behind it move up. Files get new numbers."""
    if group is not None:
        group_clips.move(remote, group, name, mode)
        return
    from audio_server.clips.folder_ops import reorder

    found, file = _find(at, name)
    files = list(found.files)
    if mode >= len(files):
        raise CommandError(f"there are {len(files)} clips, so the last mode is {len(files) - 1}")
    files.remove(file)
    files.insert(mode, file)
    reorder(found.folder, files, found.left_out)
    tell(found.folder / _look(found.folder).files[mode])


def remove(
    name: Name,
    /,
    *,
    at: ClipsFolder | None = None,
    group: Group = None,
    remote: Remote | None = None,
    config: ConfigFile = None,
) -> None:
    """Delete the file of a clip; those behind it move up."""
    if group is not None:
        group_clips.remove(remote, group, name)
        return
    from audio_server.clips import folder_ops

    found, file = _find(at, name)
    folder_ops.remove(found.folder, file, found.left_out)
    tell(found.folder / file)


def rename(
    name: Name,
    title: Title,
    /,
    *,
    at: ClipsFolder | None = None,
    group: Group = None,
    remote: Remote | None = None,
    config: ConfigFile = None,
) -> None:
    """Give a clip another title; it keeps its mode and its sound."""
    if group is not None:
        group_clips.rename(remote, group, name, title)
        return
    from audio_server.clips import folder_ops
    from audio_server.clips.naming import clean_title

    found, file = _find(at, name)
    new = folder_ops.rename(found.folder, file, clean_title(title), found.left_out)
    tell(found.folder / new)


def replace(
    name: Name,
    file: SoundFile,
    /,
    *,
    at: ClipsFolder | None = None,
    group: Group = None,
    remote: Remote | None = None,
    config: ConfigFile = None,
) -> None:
    """Have a clip be another sound file, of any common format; it keeps mode and name."""
    if group is not None:
        group_clips.replace(remote, group, name, file)
        return
    import trio

    from audio_server.clips import folder_ops
    from audio_server.clips.convert import opus_of_file

    found, old = _find(at, name)
    opus = trio.run(opus_of_file, file, (at or ClipsFolder()).loudness)
    tell(found.folder / folder_ops.replace(found.folder, old, opus, found.left_out))


class _Folder(NamedTuple):
    """A folder, the files of its clips, and those that could be clips and hold no sound."""

    folder: Path
    files: list[str]
    left_out: Collection[str]


def _find(at: ClipsFolder | None, name: str) -> tuple[_Folder, str]:
    """Return the file that a name means, with the files of its folder."""
    from audio_server.clips.naming import find

    found = _look((at or ClipsFolder()).to_change())
    return found, find(found.files, name)


def _look(folder: Path) -> _Folder:
    import trio

    from audio_server.clips.folder import clip_files
    from audio_server.clips.loader import find_left_out

    names = [file.name for file in clip_files(folder)]
    left_out = trio.run(find_left_out, folder)
    return _Folder(folder, [name for name in names if name not in left_out], left_out)


def tell(path: Path) -> None:
    """Print the change; and, on a terminal, the way to have a server read it."""
    say(path)
    if sys.stderr.isatty():
        say_error(HINT)
