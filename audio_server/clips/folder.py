"""Which files of a folder are clips, and in which order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from audio_server.clips.errors import ClipError, as_text
from audio_server.clips.journal import read_plan

_TEXT = {".md", ".markdown", ".rst", ".txt", ".html", ".pdf", ".csv", ".log"}
_PICTURES = {".jpg", ".jpeg", ".png", ".gif", ".svg", ".webp"}
_PLAYLISTS = {".cue", ".m3u", ".m3u8", ".pls"}
_SETTINGS = {".toml", ".json", ".yaml", ".yml", ".ini", ".cfg", ".db", ".py", ".sh"}
_UNFINISHED = {".part", ".tmp", ".bak"}

NOT_SOUND = frozenset(_TEXT | _PICTURES | _PLAYLISTS | _SETTINGS | _UNFINISHED)
"""Suffixes of what people keep beside their sound; see `is_clip_name`."""

_DOCUMENTS = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG"}


def is_clip_name(name: str) -> bool:
    """Whether a file of this name in a folder of clips is meant as a clip.

    Everything is, except hidden files, backups (`name~`), documents without a suffix such
    as README, and suffixes that say text, picture, playlist or half a download
    (`NOT_SOUND`). So a sound file that cannot be read is an error that names it, whatever
    its format, and never a clip that is missing.
    """
    path = Path(name)
    if name.startswith(".") or name.endswith("~"):
        return False
    return path.suffix.lower() not in NOT_SOUND and path.name.upper() not in _DOCUMENTS


class ClipFile(NamedTuple):
    """A file that is a clip. `name` is what it is called, and `path` where it is: the same but
    while the folder is being changed (`plan`)."""

    name: str
    path: Path

    @property
    def stem(self) -> str:
        """The name without its suffix, as text: the clip's."""
        return as_text(Path(self.name).stem)


def clip_files(folder: Path) -> list[ClipFile]:
    """The clips of a folder by file name: the first one is mode 0, the next mode 1, ...

    Plain order of characters, as in `LC_ALL=C ls`: 10 comes before 2, so number them 02, 10.
    Only regular files count (links to them too), not what is in folders inside.
    Raises `ClipError` where the folder cannot be read or holds no clip.
    """
    try:
        files = find_clips(folder)
    except OSError as error:
        raise ClipError(folder, f"no folder of clips ({error.strerror})") from error
    if not files:
        raise ClipError(folder, "has no clips in it")
    return files


def find_clips(folder: Path) -> list[ClipFile]:
    """The same, and an empty list where there are none. Raises `OSError`."""
    names = read_plan(folder).names(entry.name for entry in folder.iterdir())
    files = [ClipFile(name, folder / there) for there, name in names if is_clip_name(name)]
    # A dangling link is a clip that somebody misses: it is kept, and fails by its name.
    return sorted(file for file in files if file.path.is_file() or not file.path.exists())


def default_clips() -> Path:
    """The folder of the clips that come with the server: in the package, or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_clips"
    return installed if installed.is_dir() else package.parent / "clips"


def why_fixed(folder: Path) -> str | None:
    """Why no clip can be changed here; None where it can."""
    try:
        here, shipped = folder.resolve(), default_clips()
        # In a checkout they are whoever's it is, if that is where the server was started.
        is_shipped = here == shipped != Path("clips").resolve()
    except OSError as error:  # where the server was started is no more
        return f"cannot be found ({error.strerror})"
    if is_shipped:
        return "these clips come with the server; have your own with --clips FOLDER"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written to"
    return None
