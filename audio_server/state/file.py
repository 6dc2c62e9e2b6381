"""The SQLite file of modes and names: opened, read and written. Everything here blocks.

The journal is a write-ahead log and `synchronous` is NORMAL: a transaction that has been written
survives the death of the process at any instant, for the system has it. A power cut may take what
the system had not yet put on the disk (on Linux about the last half minute), but never leaves the
file in between. FULL would put a disk's flush before every acknowledgement of a press.

The lock on the file is held as long as it is open (`locking_mode` EXCLUSIVE), so a second server
cannot work on it; the system lets go of it when a process dies.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from audio_server.errors import SetupError
from audio_server.state.record import Record

SCHEMA = (
    "CREATE TABLE modes (device_id TEXT PRIMARY KEY, mode INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE names (device_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID",
)
"""What was done to the file, oldest first; its `user_version` says how much of it."""

# How long another process may take to let go of the file; one that serves never does.
_BUSY_S = 1.0

_IN_USE = "in use by another server; each needs a --data of its own"

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StateUnusable(SetupError):
    """The file is in use by another server, or was made by a newer one."""


class StateDamaged(SetupError):
    """The file is no SQLite file any more, or is not what was written."""


class StateFile:
    """An open file. Used by one thread at a time.

    Every method raises `StateDamaged` for a file that is not what was written, and
    `sqlite3.Error` or `OSError` for what a disk does; after any of them, close it.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made if it is not there. Raises `StateUnusable` too."""
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            with _named(path):
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")  # takes the lock, and shows that it can be written
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(SCHEMA):
            raise StateUnusable(self.path, "made by a newer version of this server")
        for change in SCHEMA[version:]:
            self._db.execute(change)
        self._db.execute(f"PRAGMA user_version = {len(SCHEMA)}")
        self._db.execute("COMMIT")

    def read(self) -> Record:
        """Every mode that is not 0, every name. Looks the whole file over first."""
        with _named(self.path):
            (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise StateDamaged(self.path, f"damaged: {verdict}")
            modes = OrderedDict(self._db.execute("SELECT device_id, mode FROM modes"))
            return Record(modes, dict(self._db.execute("SELECT device_id, name FROM names")))

    def write(self, notes: Record) -> None:
        """Keep these, all in one transaction; what is blank takes no room."""
        kept = notes.without_blanks()
        with _named(self.path), self._transaction():
            self._replace("modes", notes.modes, kept.modes)
            self._replace("names", notes.names, kept.names)

    def _replace(self, table: str, all_of_them: Iterable[str], kept: Mapping[str, Any]) -> None:
        gone = [(device_id,) for device_id in all_of_them if device_id not in kept]
        self._db.executemany(f"DELETE FROM {table} WHERE device_id = ?", gone)
        self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", kept.items())

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
        """Let go of the file. Raises nothing: what was written is written."""
        try:
            self._db.close()
        except sqlite3.Error:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def set_aside(path: Path) -> Path:
    """Move a damaged file out of the way, with its log; gives where it is now."""
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
    path.rename(aside)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        log.rename(aside.with_name(aside.name + "-wal"))
    return aside


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What SQLite says, as whose doing it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            raise StateDamaged(path, f"damaged: {error}") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StateUnusable(path, _IN_USE) from error
        raise
