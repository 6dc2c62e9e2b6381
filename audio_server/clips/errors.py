"""Errors of clips, in one line that names the file."""

from __future__ import annotations

import os
from pathlib import Path


class ClipError(Exception):
    """A file or a folder of clips cannot be used; the user can put it right.

    `str()` is the whole message: one line, the file first. Nothing of ours is broken
    when this is raised, so it is shown without a traceback.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return as_text(" ".join(f"{self.path}: {self.reason}".splitlines()))


class NoSuchClip(ClipError):
    """There is no clip of that name."""


class NotSound(ClipError):
    """No audio was found in a file: it is empty, of no known sound format, or without an audio
    stream. Its name decides whether it was meant as a clip."""


class ClipDamaged(ClipError):
    """A file holds audio, or began as sound files do, and cannot be decoded."""


class ClipTooLarge(ClipError):
    """A file is larger than a clip may be, or its sound is longer."""


class UploadTooSlow(ClipError):
    """A file comes so slowly that others would wait for it for long."""


class ClipsFixed(ClipError):
    """The clips of this folder cannot be changed."""


class ClipsUnavailable(ClipError):
    """The clips are those of a cluster, which keeps no change now."""


class ClipsChanged(ClipError):
    """The clips of a cluster have changed at another node meanwhile."""


def as_text(name: str) -> str:
    """Return the name of a file to be shown. A file may be called by any bytes: a question mark
    stands for those that are no text."""
    try:
        return os.fsencode(name).decode()  # names are UTF-8, also where the locale is not
    except UnicodeError:
        return name.encode(errors="replace").decode()
