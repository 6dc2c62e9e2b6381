"""Which files of a folder are clips, and in which order."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from audio_server.clips.errors import ClipError, as_text
from audio_server.clips.journal import PLAN, Journal, read_journal
from audio_server.clips.suffixes import Meant, is_downloading, meant_as, split_name
from audio_server.files.folders import OpenFolder

LOOKS_MAX = 5
"""How often a folder is listed that changes meanwhile. Where files are written to it all the time,
as by a download, the last list will do."""

Entry = os.DirEntry[str]


class ClipFile(NamedTuple):
    """A file that is a clip. `name` is its name and `path` its place, which differ only while the
    folder is being changed (`journal`). If it is not `is_sure`, since its name does not say, it is
    a clip only if there is sound in it."""

    name: str
    path: Path
    is_sure: bool = True

    @property
    def stem(self) -> str:
        """The name without its suffix, as text: the clip's."""
        return as_text(split_name(self.name)[0])


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a folder that may be clips, in order, and the names of those left out, each with
    the reason. Files that are plainly no clips are in neither."""

    files: list[ClipFile] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def clip_files(folder: Path) -> list[ClipFile]:
    """Return the clips of a folder, as `look_into` does. Raises `ClipError` if there are none."""
    files = look_into(folder).files
    if not files:
        raise no_clips(folder)
    return files


def look_into(folder: Path) -> Found:
    """Return the clips of a folder by file name: the first one is mode 0, the next mode 1, ...

    Plain order of characters, as in `LC_ALL=C ls`: 10 comes before 2, so number them 02, 10.
    Only regular files count (links to them too), not the content of folders inside. Raises
    `ClipError` where the folder cannot be read.
    """
    try:
        with OpenFolder(folder) as opened:
            return _look_into(opened)
    except OSError as error:
        raise ClipError(folder, f"no folder of clips ({error.strerror})") from error


def _look_into(folder: OpenFolder) -> Found:
    """List the clips as they are before a change or after it: not with names from both."""
    for _ in range(LOOKS_MAX):
        version = folder.version(PLAN)
        found = find_clips(folder, read_journal(folder))
        if folder.version(PLAN) == version:
            break
    return found


def no_clips(folder: Path) -> ClipError:
    """Return the error for a folder without clips."""
    return ClipError(folder, "has no clips in it")


def find_clips(folder: OpenFolder, journal: Journal) -> Found:
    """Return the clips of an open folder, which `journal` changes. Raises `OSError`."""
    found = Found()
    entries = {entry.name: entry for entry in folder.entries()}
    for there, name in journal.names(entries):
        _judge(name, entries[there], entries, folder.path, found)
    found.files.sort()
    return found


def _judge(name: str, entry: Entry, others: Collection[str], folder: Path, found: Found) -> None:
    meant = meant_as(name)
    if meant is Meant.COMPANION:
        return
    reason = _why_not(name, meant, entry, others)
    if reason is None:
        found.files.append(ClipFile(name, folder / entry.name, meant is Meant.SOUND))
    elif reason:
        found.left_out[name] = reason


def _why_not(name: str, meant: Meant, entry: Entry, others: Collection[str]) -> str | None:
    """Why an entry is no clip, in words; empty where that is no news; None for a clip."""
    try:
        status = entry.stat()
    except OSError:
        # A link to nothing with the suffix of sound is a clip that is missed: it fails by its name.
        return None if meant is Meant.SOUND else "cannot be read"
    if stat.S_ISDIR(status.st_mode):
        return "a folder" if meant is Meant.SOUND else ""
    if meant is Meant.UNFINISHED:
        return "not complete, or a backup"
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    is_half = is_downloading(name, others, is_empty=status.st_size == 0)
    return "not complete" if is_half else None


def default_clips() -> Path:
    """The folder of the clips that come with the server: in the package, or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_clips"
    return installed if installed.is_dir() else package.parent / "clips"


def has_clips(folder: Path) -> bool:
    """Return whether a folder is there and has clips in it."""
    try:
        return bool(look_into(folder).files)
    except ClipError:
        return False


def why_fixed(folder: Path) -> str | None:
    """Why no clip can be changed here; None where it can."""
    try:
        is_shipped = folder.resolve() == default_clips()
    except OSError as error:  # the working folder is gone
        return f"cannot be found ({error.strerror})"
    if is_shipped:
        return "these clips come with the server; have your own with --data FOLDER"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written to"
    return None
