"""Changes of a folder that take several steps, as one step to whoever reads it.

What is to be done is written to a hidden file first. From the moment that it is there, whoever
lists the clips sees them as they will be, however much has been done; so a server that is killed
half-way leaves the old clips or the new ones and nothing in between, even where nobody can write
to the folder any more. Whoever changes the folder next does what was left.

A plan renames files to names that were free, so what has been done can be told from the names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from audio_server.clips.errors import ClipError

PLAN = ".changing.json"

_PART = re.compile(r"\.[0-9a-f]{32}\.part")


@dataclass(frozen=True, slots=True)
class Journal:
    """Files of one folder that get other names, and files that go."""

    renames: Mapping[str, str] = field(default_factory=dict)
    removes: tuple[str, ...] = ()

    def names(self, there: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The names of the files that are `there`, each with the one that it will have."""
        there = set(there)
        for name in there.difference(self.removes):
            new = self.renames.get(name, name)
            yield name, name if new in there else new


NOTHING = Journal()


def read_plan(folder: Path) -> Journal:
    """What is to be done in `folder`. Raises `OSError`, and `ClipError` for a damaged plan."""
    try:
        fields = json.loads((folder / PLAN).read_bytes())
        return Journal(dict(fields["renames"]), tuple(fields["removes"]))
    except FileNotFoundError:
        return NOTHING
    except (ValueError, KeyError, TypeError) as error:
        raise ClipError(folder / PLAN, "is damaged; delete it") from error


def do(folder: Path, plan: Journal) -> None:
    """Change the folder, all of it or nothing. Raises `OSError`."""
    write_atomically(folder / PLAN, json.dumps(asdict(plan)).encode())
    try:
        finish(folder)
    except OSError:
        _undo(folder, plan)
        raise


def finish(folder: Path) -> None:
    """Do what is left of a plan, if there is one. Raises `OSError` and `ClipError`."""
    plan = read_plan(folder)
    if plan is NOTHING:
        return
    _rename(folder, plan.renames.items())
    for name in plan.removes:
        (folder / name).unlink(missing_ok=True)
    _flush(folder)
    (folder / PLAN).unlink(missing_ok=True)


def _undo(folder: Path, plan: Journal) -> None:
    """A file that cannot be renamed or deleted: the others get their names back."""
    _rename(folder, ((new, old) for old, new in plan.renames.items()))
    (folder / PLAN).unlink()


def _rename(folder: Path, names: Iterable[tuple[str, str]]) -> None:
    there = {entry.name for entry in folder.iterdir()}
    for old, new in names:
        if old in there and new not in there:
            (folder / old).rename(folder / new)


def write_atomically(path: Path, data: bytes) -> None:
    """Have a file hold `data`, or what it held before. Raises `OSError`."""
    with part(path.parent) as temporary:
        write_to_disk(temporary, data)
        temporary.replace(path)
        _flush(path.parent)


def write_to_disk(path: Path, data: bytes) -> None:
    """Have a new file hold `data`, a power cut notwithstanding. Raises `OSError`."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def part(folder: Path) -> Iterator[Path]:
    """A new name in `folder` that is no clip's. What is called so at the end is deleted, unless
    it is part of a plan that could not be finished."""
    temporary = folder / f".{uuid4().hex}.part"
    try:
        yield temporary
    finally:
        if temporary.name not in read_plan(folder).renames:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what `part` has left where it was killed. Nobody else may be at it. `OSError`s."""
    for entry in folder.iterdir():
        if _PART.fullmatch(entry.name):
            entry.unlink()


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
