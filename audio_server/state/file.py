"""The SQLite file of modes, names and the inventory: opened, read and written. All of it blocks.

The journal is a write-ahead log and `synchronous` is NORMAL: a transaction that has been written
survives the death of the process at any instant, for the system has it. A power cut may take the
writes that the system had not yet put on the disk (on Linux about the last half minute), but never
leaves the file in between. FULL would put a disk's flush before every acknowledgement of a press.

The lock on the file is held as long as it is open (`locking_mode` EXCLUSIVE), so a second server
cannot work on it; the system releases it when a process dies.

The log is emptied by this module alone, for each new one needs a name (`generations`).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import structlog

from audio_server.device.entry import Entry
from audio_server.errors import SetupError
from audio_server.state import generations
from audio_server.state.on_disk import (
    OpenFiles,
    StateLost,
    StateUnusable,
    in_use,
    set_aside,
    set_log_aside,
)
from audio_server.state.record import Record
from audio_server.wire.device_ids import is_device_id
from audio_server.wire.firmware import cleaned

__all__ = ["SCHEMA", "StateDamaged", "StateFile", "StateLost", "StateUnusable", "set_aside"]

SCHEMA = (
    "CREATE TABLE modes (device_id TEXT PRIMARY KEY, mode INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE names (device_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID",
    generations.SCHEMA,
    "CREATE TABLE devices (device_id TEXT PRIMARY KEY, first_seen REAL NOT NULL,"
    " last_seen REAL NOT NULL, address TEXT, connections INTEGER NOT NULL, takes INTEGER NOT NULL,"
    " errors INTEGER NOT NULL, mode INTEGER NOT NULL, leds TEXT) STRICT, WITHOUT ROWID",
    "CREATE TABLE tags (device_id TEXT PRIMARY KEY, tags TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "ALTER TABLE devices ADD COLUMN firmware TEXT",
)
"""The migrations of the file, oldest first; its `user_version` is the number of those done."""

# How long another process may take to let go of the file; one that serves never does.
_BUSY_S = 1.0

# When the log is emptied: at 4 MiB a flush of the disk is rare, and reading it again is quick.
_LOG_MAX_BYTES = 4 * 1024 * 1024

_NO_LOCKS = "its file system has no locks"

_LEDS = re.compile("[0-9a-f]{36}")

# The last one is for tables that are not those of `SCHEMA`.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


log = structlog.get_logger()


class StateDamaged(SetupError):
    """The file is no SQLite file, or differs from the one that was written."""


class StateFile:
    """An open file. Used by one thread at a time.

    Every method raises `StateDamaged` for a file that differs from the one that was written,
    `StateLost` for one that is no longer the file of its name, and `sqlite3.Error` or `OSError` for
    faults of the disk; after any of them, close it.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made if it is not there. Raises `StateUnusable` too."""
        self.path = path
        self.found: bytes | None = None
        """The generation that was found in the file; None in a new one."""
        self.generation = b""
        """The value of `found` when this file is opened again."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        if generations.has_foreign_log(path):
            aside = set_log_aside(path)
            log.warning("log of another database set aside", path=str(path), now=str(aside))
        self._files = OpenFiles(path)
        self._db = sqlite3.connect(
            self._uri(), uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        # Text that is not UTF-8 is no reason to lose the rest.
        self._db.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            with _named(path):
                self._prepare()
                self._begin_generation()
        except BaseException:
            self.close()
            raise

    def _uri(self) -> str:
        uri = f"file:{quote(os.fsencode(self.path.absolute()))}"
        if self._files.can_be_locked():
            return uri
        remedy = "start no second server with this data folder"
        log.warning("state file not locked", path=str(self.path), reason=_NO_LOCKS, remedy=remedy)
        return f"{uri}?vfs=unix-none"

    def _prepare(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Before the mode of the journal, which is flushed when it changes.
        level = "NORMAL" if self._files.can_be_flushed() else "OFF"
        self._db.execute(f"PRAGMA synchronous = {level}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        self._db.execute("BEGIN IMMEDIATE")  # takes the lock, and shows that it can be written
        for change in SCHEMA[version_of(self._db, self.path) :]:
            self._db.execute(change)
        self._db.execute(f"PRAGMA user_version = {len(SCHEMA)}")
        self._db.execute("COMMIT")
        self.found = generations.generation_of(self._db)

    def _begin_generation(self) -> None:
        base = generations.begin_generation(self._db)
        self.generation = generations.generation_of(self._db) or base
        self._files.remember()

    def check(self) -> None:
        """Raise `StateLost` if this is no longer the file of its name, or if it has a foreign log:
        writes would then be lost at a restart."""
        self._files.check()

    def drop_log(self) -> None:
        """As `OpenFiles.drop_log`; only `close` may follow."""
        self._files.drop_log()

    def read(self) -> Record:
        """Every mode that is not 0, every name, entry and tag; entries that were seen last come
        last. Looks the whole file over first."""
        with _named(self.path):
            check_whole(self._db, self.path)
            entries = self._rows("SELECT * FROM devices ORDER BY last_seen")
            tags = self._rows("SELECT device_id, tags FROM tags")
            return Record(
                OrderedDict(self._rows("SELECT device_id, mode FROM modes")),
                dict(self._rows("SELECT device_id, name FROM names")),
                {device_id: _entry(*values) for device_id, *values in entries},
                {device_id: tuple(text.split()) for device_id, text in tags},
            )

    def _rows(self, query: str) -> Iterator[Any]:
        """Return the rows of devices; rows that no server has written are left out."""
        return (row for row in self._db.execute(query) if is_device_id(row[0]))

    def write(self, notes: Record) -> None:
        """Store rows, all in one transaction; a blank one takes no room."""
        kept = notes.without_blanks()
        self._files.check()
        with _named(self.path):
            with self._transaction():
                self._replace("modes", notes.modes, kept.modes.items())
                self._replace("names", notes.names, kept.names.items())
                entries = ((key, *entry) for key, entry in kept.entries.items() if entry)
                self._replace("devices", notes.entries, entries)
                self._replace("tags", notes.tags, _joined(kept.tags))
            self._files.remember_write()
            if self._files.log.stat().st_size > _LOG_MAX_BYTES:
                self._begin_generation()

    def _replace(
        self, table: str, device_ids: Iterable[str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Write the rows of some devices; those of them that have no row lose theirs."""
        kept = {row[0]: row for row in rows}
        gone = [(device_id,) for device_id in device_ids if device_id not in kept]
        self._db.executemany(f"DELETE FROM {table} WHERE device_id = ?", gone)
        if kept:
            places = ", ".join("?" for _ in next(iter(kept.values())))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", kept.values())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file. Raises nothing: all writes are done."""
        try:
            self._db.close()
        except sqlite3.Error:
            pass
        finally:
            self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entry(*values: Any) -> Entry:
    """Return an entry of the inventory; LEDs that no server has written are unknown, and so is
    firmware."""
    entry = Entry(*values)
    if entry.firmware is not None:
        entry = entry._replace(firmware=cleaned(entry.firmware))
    return entry if entry.leds is None or _LEDS.fullmatch(entry.leds) else entry._replace(leds=None)


def _joined(tags: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    return ((device_id, " ".join(some)) for device_id, some in tags.items())


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Look the whole database over. Raises `StateDamaged`."""
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StateDamaged(path, f"damaged: {verdict}")


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """Return how many migrations the database has had. Raises `StateUnusable` for too many."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(SCHEMA):
        raise StateUnusable(path, "made by a newer version of this server")
    return int(version)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into one named by whose fault it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            raise StateDamaged(path, f"damaged: {error}") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise in_use(path) from error
        raise
