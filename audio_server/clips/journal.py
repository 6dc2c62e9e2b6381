"""Changes of a folder that take several steps, as one step to all that read it.

The steps are written to a hidden file first. From that moment the clips are listed as they will be,
however many steps are done; so a server that is killed half-way leaves the old clips or the new
ones and nothing in between, even on a disk that has become read-only. The next change of the folder
does the rest first.

A journal renames files to names that are free, so that the names show which steps are done. Where
clips swap names, a first journal has them go `through` names that are free, and a second one from
there. A file is removed by a hidden name, which nothing lists.

A folder may come from elsewhere with a journal in it. One that this module would not have written
is not obeyed: nothing but clips of this folder is ever renamed or removed.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from audio_server.clips.errors import ClipError
from audio_server.clips.suffixes import is_clip_name, split_name
from audio_server.files.folders import OpenFolder, hidden_name, is_part, is_plain

PLAN = ".changing.json"

PLAN_MAX_BYTES = 32 * 2**20
"""Room for 10,000 clips with long names."""

# Errors of opening and reading links, folders, sockets, devices and files that are too large.
_NO_FILE = (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.EINVAL, errno.EFBIG)

_log = logging.getLogger(__name__)


class ForeignJournal(Exception):
    """A journal is not one that this module would have written."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Files of one folder that get other names. `renames` gives each old name the new one.

    With `through`, which gives each old name a hidden one, files get those first.
    """

    renames: Mapping[str, str] = field(default_factory=dict)
    through: Mapping[str, str] = field(default_factory=dict)

    def names(self, there: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the names of the files that are `there`, each with the one that it will have."""
        there = set(there)
        hidden = self.rest().renames
        for name in there:
            new = hidden.get(name) or self.renames.get(name, name)
            is_taken = new in there and not self.through
            yield name, name if is_taken else new

    def rest(self) -> Journal:
        """Return the journal that comes after this one, to go on from hidden names."""
        return Journal({temporary: self.renames[old] for old, temporary in self.through.items()})


NOTHING = Journal()


def journal_for(renames: Mapping[str, str]) -> Journal:
    """Return a journal that gives files other names, which may be those of others among them."""
    if set(renames).isdisjoint(renames.values()):
        return Journal(renames)
    return Journal(renames, {old: hidden_name() for old in renames})


# -- reading


def read_journal(folder: OpenFolder) -> Journal:
    """Return the unfinished change of a folder; `NOTHING` where there is no journal.

    A journal that is not obeyed counts as none and is warned of. Raises `ClipError` for one that
    cannot be read.
    """
    try:
        return _read(folder)
    except ForeignJournal as error:
        where = folder.path / PLAN
        _log.warning("%s: is not obeyed: %s; delete it", where, error)
        return NOTHING


def _read(folder: OpenFolder) -> Journal:
    try:
        journal = _checked(json.loads(folder.read(PLAN, PLAN_MAX_BYTES)))
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        if error.errno in _NO_FILE:
            raise ForeignJournal("it is not a file, or too large") from error
        raise ClipError(folder.path / PLAN, f"cannot be read ({error.strerror})") from error
    except (ValueError, LookupError, TypeError, RecursionError, MemoryError) as error:
        raise ForeignJournal("it is damaged") from error
    _check_possible(folder, journal)
    return journal


def _check_possible(folder: OpenFolder, journal: Journal) -> None:
    """Raise `ForeignJournal` for names that no file here can have: they would stand in the way of
    every later change."""
    names = (*journal.renames.values(), *journal.through.values())
    try:
        longest = max((len(os.fsencode(name)) for name in names), default=0)
    except UnicodeEncodeError as error:
        raise ForeignJournal("it has names that no file can have") from error
    if longest > folder.name_max_bytes():
        raise ForeignJournal("it has names that are too long")


def _checked(fields: Any) -> Journal:
    """Return a journal that could have been written here. Raises `ForeignJournal`, and
    the errors of Python for fields that are missing or of another type."""
    journal = Journal(dict(fields["renames"]), dict(fields["through"]))
    names = [*journal.renames, *journal.renames.values(), *journal.through.values()]
    if not all(isinstance(name, str) and is_plain(name) for name in names):
        raise ForeignJournal("it names files that are not in this folder")
    if not all(is_clip_name(name) or is_part(name) for name in names):
        raise ForeignJournal("it names files that are no clips")
    if not (len(fields) == 2 and _is_one_to_one(journal)):
        raise ForeignJournal("it was not made by this server")
    return journal


def _is_one_to_one(journal: Journal) -> bool:
    old, new = set(journal.renames), set(journal.renames.values())
    through = set(journal.through.values())
    removed = sum(map(is_part, new))
    if removed > 1 or len(old) != len(new) or (journal.through and set(journal.through) != old):
        return False
    if journal.through:
        hidden = all(map(is_part, through))
        return hidden and len(through) == len(old) and through.isdisjoint(old | new)
    return old.isdisjoint(new)


# -- doing


def do(folder: OpenFolder, journal: Journal) -> None:
    """Change the folder, all of it or nothing. Raises `OSError`."""
    _write(folder, journal)
    try:
        finish(folder)
    except OSError:
        _undo(folder, journal)
        raise


def _undo(folder: OpenFolder, journal: Journal) -> None:
    """Give all files their old names again, in one step as well."""
    is_through = read_journal(folder) == journal
    there = folder.names()
    back = {}
    for old, new in journal.renames.items():
        hidden = journal.through.get(old, new)
        now = hidden if hidden in there or is_through else new
        if now in there:
            back[now] = old
    _write(folder, journal_for(back))
    finish(folder)


def finish(folder: OpenFolder) -> None:
    """Finish a change that was begun, if there is one, and delete files that nothing needs."""
    journal = read_journal(folder)
    if journal is NOTHING:
        if not folder.holds(PLAN):
            _sweep(folder)
        return
    _rename(folder, journal.through or journal.renames)
    folder.flush()
    if journal.through:
        _write(folder, journal.rest())
        _rename(folder, journal.rest().renames)
        folder.flush()
    folder.remove(PLAN)
    _sweep(folder)


def _write(folder: OpenFolder, journal: Journal) -> None:
    data = json.dumps({"renames": journal.renames, "through": journal.through}).encode()
    if len(data) > PLAN_MAX_BYTES:
        raise OSError(errno.EFBIG, "too many long names")
    folder.write(PLAN, data)


def _rename(folder: OpenFolder, names: Mapping[str, str]) -> None:
    there = folder.names()
    for old, new in names.items():
        if old not in there:
            continue
        # A name that was free when the journal was made may have been given to another file since.
        free = new if new not in there else _free_name(new, there)
        folder.rename(old, free)
        there.add(free)
        there.remove(old)


def _free_name(name: str, there: Collection[str]) -> str:
    stem, suffix = split_name(name)
    candidates = (f"{stem} ({count}){suffix}" for count in range(2, len(there) + 3))
    return next(free for free in candidates if free not in there)


def _sweep(folder: OpenFolder) -> None:
    """Delete the files that a killed change left. The folder is locked against others."""
    for name in folder.names():
        if is_part(name):
            folder.discard(name)


@contextmanager
def new_part(folder: OpenFolder, data: bytes) -> Iterator[str]:
    """Have `data` in a file with a hidden name, which is deleted if the block raises, unless a
    journal needs it that could neither be done nor undone."""
    part = folder.write_part(data)
    try:
        yield part
    except BaseException:
        if part not in read_journal(folder).renames:
            folder.discard(part)
        raise
