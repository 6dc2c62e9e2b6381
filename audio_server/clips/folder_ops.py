"""Changes of a folder of clips. Each change is made whole or not at all.

Clips keep their titles in every change: where the change of one clip would move another one, or
have its title read as something else, all files get new numbers.

All of this blocks, and waits a while for changes of the same folder by other threads or processes.
`left_out` has names of files that may be clips by their names, and are known to hold no sound. All
errors are a `ClipError`, and then the folder is as it was.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.folder import find_clips
from audio_server.clips.journal import NOTHING, Journal, do, finish, journal_for, new_part
from audio_server.clips.naming import check_length, next_name, numbered, titles_of
from audio_server.clips.suffixes import check_complete, split_name
from audio_server.files.folders import OpenFolder, hidden_name, is_part

LOCKED_S = 10.0
"""How long another change may take. They take far less, so a longer one hangs."""

EACH_ONCE = "an order has each clip that is in the folder, once"


def place(folder: Path, title: str, opus: bytes, left_out: Collection[str] = ()) -> str:
    """Add a clip that comes last; return the name of its file. A missing folder is made."""
    check_complete(f"00-{title}.opus")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _cannot(folder, error) from error
    with _changing(folder, left_out) as at:
        new = next_name(at.names, title)
        if new is None or new in at.entries:
            with new_part(at.folder, opus) as part:
                return at.number([*at.names, part], [*titles_of(at.names), title])[-1]
        check_length(new, at.folder.name_max_bytes())
        try:
            at.folder.create(new, opus)
        except FileExistsError:
            raise ClipError(folder / new, "exists already") from None
        return new


def check_room(folder: Path, title: str) -> None:
    """Raise `ClipError` for a title that no clip in this folder can have, before it is uploaded."""
    check_complete(f"00-{title}.opus")
    try:
        with OpenFolder(folder) as opened:
            check_length(f"00-{title}.opus", opened.name_max_bytes())
    except OSError as error:
        raise _cannot(folder, error) from error


def replace(folder: Path, name: str, opus: bytes, left_out: Collection[str] = ()) -> str:
    """Give the file of a clip other content; return its name, whose suffix may be new."""
    with _changing(folder, left_out, name) as at:
        new = f"{split_name(name)[0]}.opus"
        if new == name:
            at.folder.write(name, opus)
            return new
        index, titles = at.names.index(name), titles_of(at.names)
        before, behind = at.names[:index], at.names[index + 1 :]
        with new_part(at.folder, opus) as part:
            if new in at.entries or not _is_in_place([*before, new, *behind], titles):
                return at.number([*before, part, *behind], titles)[index]
            check_length(new, at.folder.name_max_bytes())
            do(at.folder, Journal({part: new, name: hidden_name()}))
        return new


def remove(folder: Path, name: str, left_out: Collection[str] = ()) -> None:
    """Delete the file of a clip, unless it is the only one."""
    with _changing(folder, left_out, name) as at:
        index = at.names.index(name)
        rest, titles = list(at.names), titles_of(at.names)
        del rest[index], titles[index]
        if not rest:
            raise ClipError(folder / name, "is the only clip, and one has to stay")
        if _is_in_place(rest, titles):
            at.folder.remove(name)
            at.folder.flush()
        else:
            at.number(rest, titles)


def rename(folder: Path, name: str, title: str, left_out: Collection[str] = ()) -> str:
    """Give a clip another title; return the new name of its file. It keeps its place."""
    check_complete(f"00-{title}.opus")
    with _changing(folder, left_out, name) as at:
        index, titles = at.names.index(name), titles_of(at.names)
        stem, suffix = split_name(name)
        new = f"{stem[: len(stem) - len(titles[index])]}{title}{suffix}"
        if new == name:
            return name
        before, behind = at.names[:index], at.names[index + 1 :]
        titles[index] = title
        if new in at.entries or not _is_in_place([*before, new, *behind], titles):
            return at.number(at.names, titles)[index]
        check_length(new, at.folder.name_max_bytes())
        do(at.folder, Journal({name: new}))
        return new


def reorder(folder: Path, names: Sequence[str], left_out: Collection[str] = ()) -> None:
    """Rename the files of all clips so that they sort as in `names`."""
    with _changing(folder, left_out) as at:
        if sorted(names) != at.names:
            raise ClipError(folder, EACH_ONCE)
        if list(names) != at.names:
            at.number(names, titles_of(names))


class _Change:
    """A folder that nothing else changes meanwhile. `names` are those of its clips, in order, and
    `entries` those of all that is in it."""

    def __init__(self, folder: OpenFolder, left_out: Collection[str]) -> None:
        self.folder = folder
        self.entries = folder.names()
        found = find_clips(folder, NOTHING).files
        self.names = [file.name for file in found if file.name not in left_out]

    def number(self, names: Sequence[str], titles: Sequence[str]) -> list[str]:
        """Have the files of these names in this order, with these titles; return their new names.
        A hidden name is that of a new clip; a clip that is not among them is removed."""
        suffixes = [".opus" if is_part(name) else split_name(name)[1] for name in names]
        others = self.entries.difference(names, self.names)
        new = numbered(titles, suffixes, others=others, max_bytes=self.folder.name_max_bytes())
        renames = {old: name for old, name in zip(names, new, strict=True) if old != name}
        renames |= {gone: hidden_name() for gone in set(self.names).difference(names)}
        if renames:
            do(self.folder, journal_for(renames))
        return new


def _is_in_place(names: Sequence[str], titles: Sequence[str]) -> bool:
    """Whether files of these names sort in this order and have these titles."""
    return sorted(names) == list(names) and titles_of(names) == list(titles)


@contextmanager
def _changing(folder: Path, left_out: Collection[str], *needed: str) -> Iterator[_Change]:
    """Open a folder for one change, with all changes before it complete.

    Raises `NoSuchClip` for a clip that is needed and is not there.
    """
    try:
        with OpenFolder(folder) as opened:
            try:
                opened.lock(LOCKED_S)
            except TimeoutError:
                raise ClipError(folder, "another process is changing it") from None
            finish(opened)
            change = _Change(opened, left_out)
            for name in needed:
                if name not in change.names:
                    raise NoSuchClip(folder / name, "there is no such clip")
            yield change
    except OSError as error:
        raise _cannot(folder, error) from error


def _cannot(folder: Path, error: OSError) -> ClipError:
    if error.errno == errno.ENAMETOOLONG:
        return ClipError(folder, "File name too long for its file system")
    return ClipError(folder, f"cannot be written to ({error.strerror})")
