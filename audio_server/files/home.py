"""Folders that belong to the user, also where there is no home: containers run under ids that no
user has, and some service managers set no HOME."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

NOWHERE = Path(os.devnull)
"""Stands for a folder without a place: nothing can be made in it, so that its content is not kept,
as on a disk that cannot be written to."""


def home_folder() -> Path | None:
    """Return the home that HOME names, else the one of the user's entry; None without either."""
    try:
        home = Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
    return home if home.is_absolute() else None


def base_folder(variable: str, in_home: str) -> Path:
    """Return a base folder as the XDG specification has it, or `NOWHERE`.

    Empty and relative values of the variable count as unset.
    """
    named = Path(os.environ.get(variable) or ".")
    if named.is_absolute():
        return named
    home = home_folder()
    return NOWHERE if home is None else home / in_home


def is_nowhere(folder: Path | None) -> bool:
    """Whether a folder has no place; None, which is a choice, has one."""
    return folder is not None and folder.is_relative_to(NOWHERE)


def expanded(text: str) -> Path:
    """Return a path with `~` or `~USER` at its beginning replaced.

    Raises `ValueError`, the user's fault, where there is no such home, and for a NUL.
    """
    if "\0" in text:
        raise ValueError(f'"{text}": a path has no NUL characters')
    if text == "~" or text.startswith("~/"):
        home = home_folder()
        if home is None:
            raise ValueError(f'"{text}" is in no folder: there is no home')
        return home / text[2:]
    if not text.startswith("~"):
        return Path(text)  # `expanduser` would take ./~ for a home
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f'"{text}": no such user; a file of that name is ./{text}') from None
