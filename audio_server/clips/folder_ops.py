"""What can be done to a folder of clips. Each change is made whole or not at all.

All of this blocks, and waits a while for whoever changes the same folder from another thread or
process. What is wrong with the folder is a `ClipError`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.folder import find_clips
from audio_server.clips.journal import (
    Journal,
    do,
    finish,
    part,
    sweep,
    write_atomically,
    write_to_disk,
)
from audio_server.clips.naming import last_stem, numbered

LOCKED_S = 10.0
"""How long somebody else may take: longer, and he hangs."""

LOOK_S = 0.02


def place(folder: Path, title: str, opus: bytes) -> str:
    """Add a clip that comes last; the name of its file. Makes the folder where there is none."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _cannot(folder, error) from error
    with _changing(folder) as names, part(folder) as temporary:
        target = folder / f"{last_stem(names, title)}.opus"
        write_to_disk(temporary, opus)
        _move_to_new(temporary, target)
        return target.name


def replace(folder: Path, name: str, opus: bytes) -> str:
    """Have the clip of a file be another one; the name of its file, whose suffix may be new."""
    with _changing(folder, name) as names:
        new = f"{Path(name).stem}.opus"
        if new == name:
            write_atomically(folder / name, opus)
        elif new in names:
            raise ClipError(folder / new, "exists already")
        else:
            with part(folder) as temporary:
                write_to_disk(temporary, opus)
                do(folder, Journal({temporary.name: new}, (name,)))
        return new


def remove(folder: Path, name: str) -> None:
    """Delete the file of a clip, unless it is the only one."""
    with _changing(folder, name) as names:
        if len(names) == 1:
            raise ClipError(folder / name, "is the only clip, and one has to stay")
        (folder / name).unlink()


def reorder(folder: Path, names: Sequence[str]) -> None:
    """Rename the files of all clips so that they sort as in `names`."""
    with _changing(folder) as there:
        if sorted(names) != there:
            raise ClipError(folder, "an order has each clip that is in the folder, once")
        renames = numbered(names)
        if renames:
            do(folder, Journal(renames))


@contextmanager
def _changing(folder: Path, *needed: str) -> Iterator[list[str]]:
    """Nobody else changes the folder, and nothing is half done. Gives the names of its clips.

    Raises `NoSuchClip` for one that is needed and is none of them.
    """
    try:
        with _locked(folder):
            finish(folder)
            sweep(folder)
            names = [file.name for file in find_clips(folder)]
            for name in needed:
                if name not in names:
                    raise NoSuchClip(folder / name, "there is no such clip")
            yield names
    except OSError as error:
        raise _cannot(folder, error) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        _lock(fd, folder)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, folder: Path) -> None:
    give_up_at = time.monotonic() + LOCKED_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise ClipError(folder, "is being changed by somebody else") from None
            time.sleep(LOOK_S)
        else:
            return


def _cannot(folder: Path, error: OSError) -> ClipError:
    return ClipError(folder, f"cannot be written to ({error.strerror})")


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
