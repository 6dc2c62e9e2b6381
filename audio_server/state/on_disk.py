"""The files of a database on disk: whether they are still those that were opened, and moving them
out of the way. Everything here blocks.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audio_server.errors import SetupError
from audio_server.files.folders import NOT_SUPPORTED
from audio_server.files.running import where_running

LOG_SUFFIX = "-wal"
"""SQLite's suffix for the write-ahead log of a database."""


# All that SQLite may keep beside a database.
_COMPANIONS = (LOG_SUFFIX, "-shm", "-journal")

# SQLite's lock bytes (its file format, section 1.6): a process that uses a database holds a lock
# on at least one of them.
_LOCK_AT, _LOCK_BYTES = 0x4000_0000, 512

_PROBE_AT = _LOCK_AT + _LOCK_BYTES
"""A byte that SQLite never locks."""

_IS_LOCKED = (BlockingIOError, PermissionError)
"""What the system answers where another process has the lock (POSIX: EAGAIN or EACCES)."""

# Enough to see that a log is another one: the header has two random salts.
_LOG_HEADER_BYTES = 32


class StateUnusable(SetupError):
    """The file is in use by another server, or was made by a newer one."""


def in_use(path: Path) -> StateUnusable:
    """Return the error for a file that another server has open; it names that server."""
    where = where_running(path.parent)
    return StateUnusable(path, f"in use by another server{where}; each needs a --data of its own")


class StateLost(SetupError):
    """The file that is open is no longer the file of that name, or was written by others."""


class LogLost(StateLost):
    """The log that is open is no longer the file of its name; the database still is."""


class OpenFiles:
    """The database and the log that are in use, as long as they are open.

    The descriptor is opened before SQLite's and closed after it: closing any descriptor of a file
    drops all POSIX locks that the process has on it, SQLite's included.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which must be there; raises `OSError`."""
        self.path = path
        self.log = log_of(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._database = os.fstat(self._fd)
        self._digest = b""
        self._log_status: os.stat_result | None = None
        self._log_header = b""
        self._log_bytes = 0

    def can_be_locked(self) -> bool:
        """Return whether the file system has locks. Locks a byte for a moment, which must be
        before SQLite has opened the file."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _PROBE_AT)
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _PROBE_AT)
        except OSError as error:
            return isinstance(error, _IS_LOCKED)
        return True

    def can_be_flushed(self) -> bool:
        """Return whether the file system has fsync for files. Raises `OSError` for a disk that
        fails."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            return False
        return True

    def remember(self) -> None:
        """Accept the present files as the right ones. Until the next call, all that is written
        must go into the log."""
        self._database = os.fstat(self._fd)
        self._digest = self._digest_now(self._database.st_size)
        self._log_status = _status(self.log)
        self._log_header = _head(self.log)
        self.remember_write()

    def check(self) -> None:
        """Raise `StateLost` unless the names still lead to the files that were remembered, and
        nothing else has written to them; `OSError` if that cannot be told."""
        self._look_for_moves()
        self._look_for_changes()

    def remember_write(self) -> None:
        """Take the log, after a write of our own, for as long as it has to be from now on. Raises
        `StateLost` if the names do not lead to the files any more."""
        self._look_for_moves()
        self._log_bytes = self.log.stat().st_size

    def _look_for_moves(self) -> None:
        if log_of(self.path) != self.log:
            raise StateLost(self.path, "was replaced by a link")
        if moved := _moved(self.path, self._database):
            raise StateLost(self.path, moved)
        if moved := _moved(self.log, self._log_status):
            raise LogLost(self.path, f"its log {self.log.name} {moved}")

    def _look_for_changes(self) -> None:
        # A time that changed alone proves nothing: a `touch`, or a file system with a clock of
        # its own.
        now = os.fstat(self._fd)
        if _version(now) != _version(self._database):
            if self._digest_now(now.st_size) != self._digest:
                raise StateLost(self.path, "was changed by another program")
            self._database = now
        is_cut = self.log.stat().st_size < self._log_bytes
        if is_cut or _head(self.log) != self._log_header:
            raise StateLost(self.path, f"its log {self.log.name} was changed by another program")

    def _digest_now(self, size: int) -> bytes:
        # Not through another descriptor: to close that would drop SQLite's locks.
        return hashlib.sha256(os.pread(self._fd, size, 0)).digest()

    def drop_log(self) -> None:
        """Delete our own log, if it is still there: beside another database SQLite would replay
        it. All that is in it must be known elsewhere. Raises `OSError`."""
        if _moved(self.log, self._log_status) is None:
            self.log.unlink()

    def close(self) -> None:
        """Close the descriptor; SQLite must have closed its own."""
        os.close(self._fd)


def set_aside(path: Path, why: str = "corrupt") -> Path | None:
    """Move a file out of the way, with all that SQLite keeps beside it, as `NAME.WHY-TIME`.

    Gives where it is now; None where there was nothing. Raises `StateUnusable`, with nothing
    moved, for a database that another process has open, and `OSError`.
    """
    aside = _free_name(path, why)
    with not_in_use(path):
        with suppress(FileNotFoundError):
            path.rename(aside)
        for suffix in _COMPANIONS:
            with suppress(FileNotFoundError):
                _beside(path, suffix).rename(_beside(aside, suffix))
    return aside if os.path.lexists(aside) else None


def set_log_aside(path: Path) -> Path:
    """Move the log of a database that is not open anywhere out of the way; as `set_aside`."""
    with not_in_use(path):
        return _move_log(path)


def set_others_log_aside(path: Path) -> Path | None:
    """Move any file in the place of our own database's log; return its new place, if there was one.
    This process must have the database open. Raises `OSError`."""
    return _move_log(path) if os.path.lexists(log_of(path)) else None


def _move_log(path: Path) -> Path:
    return log_of(path).rename(_beside(_free_name(path, "foreign"), LOG_SUFFIX))


@contextmanager
def not_in_use(path: Path) -> Iterator[None]:
    """A block in which no other process can begin to use the database.

    Raises `StateUnusable` if one does already. This process must not have the file open, or be
    about to close it: its own locks go when the block ends.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_file = False
    if not is_file:  # nothing that could be a database
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _lock(path, fd)
        yield
    finally:
        os.close(fd)


def _lock(path: Path, fd: int) -> None:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _LOCK_AT)
    except _IS_LOCKED as error:
        raise in_use(path) from error
    except OSError:
        return  # a file system without locks; what cannot be had is no failure


def log_of(path: Path) -> Path:
    """Where the log of a database is: beside the file itself, not beside a link to it."""
    return _beside(path.resolve(), LOG_SUFFIX)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _free_name(path: Path, why: str) -> Path:
    name = f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}"
    aside, number = path.with_name(name), 1
    while any(os.path.lexists(_beside(aside, suffix)) for suffix in ("", *_COMPANIONS)):
        number += 1
        aside = path.with_name(f"{name}-{number}")
    return aside


def _moved(path: Path, before: os.stat_result | None) -> str | None:
    """Return how a name came to lead to another file than before; None if it does not."""
    now = _status(path)
    if now is None or before is None:
        return "was deleted"
    return None if os.path.samestat(now, before) else "was replaced"


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _head(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(_LOG_HEADER_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return b""
