"""The log that belongs to a database. Everything here blocks.

SQLite replays every log that lies beside a database and is whole in itself, also one of another
database or of another day. So a `state.db` restored from a backup beside the log of a server that
was killed would turn into its former content, or a mixture. Here each generation of the log has a
random name, which is in the database before the log begins, and which the log's first transaction
repeats: a log without the name in the database is not of this database.
"""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from urllib.parse import quote

from audio_server.state.on_disk import log_of

SCHEMA = "CREATE TABLE generations (before BLOB NOT NULL, now BLOB NOT NULL) STRICT"
"""One row: the name of the generation before this one, and of this one."""

# SQLite's file format, sections 4.1 and 4.2.
_LOG_MAGIC = (0x377F0682, 0x377F0683)
_LOG_HEADER = struct.Struct(">IIIIIIII")
_FRAME_HEADER = struct.Struct(">IIIIII")


def begin_generation(db: sqlite3.Connection) -> bytes:
    """Bring all into the database and begin an empty log under a new name.

    Returns the name in the database, which the log's first transaction repeats.
    """
    if generation_of(db) is None:
        db.execute("INSERT INTO generations VALUES (zeroblob(16), randomblob(16))")
    else:
        _rename(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base = generation_of(db)
    _rename(db)
    assert base is not None
    return base


def generation_of(db: sqlite3.Connection) -> bytes | None:
    """Return the name of the newest generation; None where there has been none."""
    row = db.execute("SELECT now FROM generations").fetchone()
    return None if row is None else bytes(row[0])


def has_foreign_log(path: Path) -> bool:
    """Return whether SQLite would replay a log beside the database that is not of it.

    Must not be called while this process has the database open: its locks would go. Raises
    `OSError`.
    """
    log = read_log(log_of(path))
    if not _has_transaction(log):
        return False
    if path.stat().st_size == 0:
        return True
    name = _name_in_file(path)
    return name is not None and name not in log


def _rename(db: sqlite3.Connection) -> None:
    db.execute("UPDATE generations SET before = now, now = randomblob(16)")


def _name_in_file(path: Path) -> bytes | None:
    """Return the name in the database, without its log; None in files of older versions, and in
    damaged ones, which opening them will show."""
    db = sqlite3.connect(f"file:{quote(str(path.resolve()))}?immutable=1", uri=True)
    try:
        return generation_of(db)
    except sqlite3.Error:
        return None
    finally:
        db.close()


def read_log(log: Path) -> bytes:
    """Return the content of a log; nothing where there is none. Raises `OSError`."""
    try:
        return log.read_bytes() if log.is_file() else b""  # a pipe would be waited for
    except FileNotFoundError:
        return b""


def _has_transaction(log: bytes) -> bool:
    """Whether SQLite would find anything to replay."""
    if len(log) < _LOG_HEADER.size:
        return False
    magic, _, page_bytes, _, *salts, _, _ = _LOG_HEADER.unpack_from(log)
    if magic not in _LOG_MAGIC:
        return False
    frame_bytes = _FRAME_HEADER.size + page_bytes
    for at in range(_LOG_HEADER.size, len(log) - frame_bytes + 1, frame_bytes):
        _, pages_after_commit, *frame_salts, _, _ = _FRAME_HEADER.unpack_from(log, at)
        if frame_salts != salts:
            return False
        if pages_after_commit:
            return True
    return False
