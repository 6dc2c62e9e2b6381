"""The file itself: what is in it after it was closed, killed, broken or opened twice."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from audio_server.state.file import SCHEMA, StateDamaged, StateFile, StateUnusable, set_aside
from audio_server.state.record import Record


def written(path: Path, modes: dict[str, int]) -> None:
    with StateFile(path) as file:
        file.write(Record(modes))


def read(path: Path) -> dict[str, int]:
    with StateFile(path) as file:
        return file.read().modes


def test_what_is_written_is_read(path) -> None:
    written(path, {"a": 1, "b": 2})
    written(path, {"b": 3, "c": 4})
    assert read(path) == {"a": 1, "b": 3, "c": 4}


def test_mode_0_takes_no_row(path) -> None:
    written(path, {"a": 1})
    written(path, {"a": 0, "b": 0})
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM modes").fetchone() == (0,)
    db.close()


def test_nobody_else_may_read_it(path) -> None:
    written(path, {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_in_use_is_refused(path, monkeypatch) -> None:
    monkeypatch.setattr("audio_server.state.file._BUSY_S", 0.01)
    with StateFile(path), pytest.raises(StateUnusable, match="in use by another server"):
        StateFile(path)
    assert read(path) == {}


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path) -> None:
    written(path, {"a": 1})
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    db.close()
    with pytest.raises(StateUnusable, match="newer version"):
        StateFile(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT * FROM modes").fetchall() == [("a", 1)]
    db.close()


def test_a_file_from_before_there_were_names(path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute(SCHEMA[0])
        db.execute("INSERT INTO modes VALUES ('a', 1)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with StateFile(path) as file:
        file.write(Record(names={"a": "Küche"}))
        assert file.read() == Record({"a": 1}, {"a": "Küche"})


def test_no_name_takes_no_row(path) -> None:
    with StateFile(path) as file:
        file.write(Record(names={"a": "Küche", "b": "hall"}))
        file.write(Record(names={"a": None, "c": None}))
        assert file.read() == Record({}, {"b": "hall"})


def test_the_version_is_in_the_file(path) -> None:
    written(path, {})
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA),)
    db.close()


def test_a_file_that_is_no_database(path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and long enough not to pass for an empty one" * 20)
    with pytest.raises(StateDamaged, match=r"state\.db: damaged"):
        read(path)


def test_a_database_with_holes(path) -> None:
    written(path, {f"device-{number:060}": 1 for number in range(500)})
    damage(path)
    with pytest.raises(StateDamaged):
        read(path)


def damage(path: Path) -> None:
    """Overwrite all but the first pages of a database."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(2 * 4096)
        file.write(b"\xa5" * (size - 2 * 4096))


def test_setting_aside_takes_the_log_along(path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"x")
    log = path.with_name("state.db-wal")
    log.write_bytes(b"y")
    aside = set_aside(path)
    assert aside.name.startswith("state.db.corrupt-")
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        aside.name,
        aside.name + "-wal",
    ]


def test_a_failed_write_changes_nothing_and_the_next_one_works(path) -> None:
    with StateFile(path) as file:
        file.write(Record({"a": 1}))
        with pytest.raises(sqlite3.Error):
            file.write(Record({"a": 2, "b": "not a number"}))  # type: ignore[dict-item]
        file.write(Record({"c": 3}))
        assert file.read().modes == {"a": 1, "c": 3}


def test_rows_that_no_server_has_written_are_left_out(path) -> None:
    written(path, {"a": 1})
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO modes VALUES ('b/\x1b', 2), (CAST(x'ff' AS TEXT), 3)")
        db.execute("INSERT INTO names VALUES ('a', CAST(x'41ff' AS TEXT)), ('', 'x')")
    db.close()
    with StateFile(path) as file:
        assert file.read() == Record({"a": 1}, {"a": "A\ufffd"})


def test_tables_of_another_program_are_damage(path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE modes (something TEXT)")
        db.execute(f"PRAGMA user_version = {len(SCHEMA)}")
    db.close()
    with pytest.raises(StateDamaged):
        read(path)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_keeps_modes(
    code: int, path: Path, logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "lockf", refused)
    for mode in (1, 2):
        with StateFile(path) as file:
            file.write(Record({"a": mode}))
            file.check()
            assert not is_locked(path)  # or SQLite would have asked for locks, and failed
    assert set_aside(path) is not None
    warned = [(entry["event"], entry["log_level"]) for entry in logged]
    assert warned == [("state file not locked", "warning")] * 2


def test_a_file_system_without_fsync_keeps_modes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(fd: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refused)
    with StateFile(path) as file:
        (level,) = file._db.execute("PRAGMA synchronous").fetchone()
        assert level == 0  # or SQLite would ask for it, and fail
        file.write(Record({"a": 1}))


def is_locked(path: Path) -> bool:
    """Whether this process has any lock on the file, as the system lists them."""
    inode = path.stat().st_ino
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(f":{inode}" in word for words in locks for word in words)


def test_a_file_is_locked_where_it_can_be(path: Path) -> None:
    with StateFile(path):
        assert is_locked(path)
