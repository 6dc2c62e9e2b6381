"""A state file that others delete, replace or change while it is in use, and a log that is another
database's: all that was acknowledged is in the file of that name, or there is a warning."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from slow_file import soon, warnings

from audio_server.state import keeper, modes
from audio_server.state.file import StateFile
from audio_server.state.modes import FileModeStore, open_modes
from audio_server.state.record import Record

LOST = ["state file lost"]


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in path.parent.glob("state.db*"):
        file.unlink()


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def delete_log(path: Path) -> None:
    log_of(path).unlink()


def replace_by_garbage(path: Path) -> None:
    delete_all(path)
    path.write_bytes(b"no database " * 1000)


def replace_by_nothing(path: Path) -> None:
    delete(path)
    path.touch()


def replace_by_a_folder(path: Path) -> None:
    delete_all(path)
    path.mkdir()
    (path / "file").write_text("mine")


def replace_log_by_a_folder(path: Path) -> None:
    delete_log(path)
    log_of(path).mkdir()


def replace_by_another(path: Path) -> None:
    with StateFile(path.with_name("other.db")) as other:
        other.write(Record({"stranger": 4}))
    path.with_name("other.db").replace(path)


def replace_both_by_another(path: Path) -> None:
    make_killed(path.with_name("other.db"), Record({"stranger": 4}))
    for suffix in ("", "-wal"):
        path.with_name("other.db" + suffix).replace(path.with_name(path.name + suffix))


def overwrite_by_another(path: Path) -> None:
    """As `cp` does: the same file, with another content."""
    with StateFile(path.with_name("other.db")) as other:
        other.write(Record({"stranger": 4}))
    path.write_bytes(path.with_name("other.db").read_bytes())


def overwrite_log(path: Path) -> None:
    log_of(path).write_bytes(b"\0" * 5000)


def cut_log(path: Path) -> None:
    os.truncate(log_of(path), 100)


def cut_log_to_its_header(path: Path) -> None:
    os.truncate(log_of(path), 32)


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


def overwrite_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(bytes(4096))


def put_a_link_in_its_place(path: Path) -> None:
    """The same file by the same name; but SQLite looks for a log beside the file itself."""
    path.rename(path.with_name("other.db"))
    path.symlink_to("other.db")


def truncate(path: Path) -> None:
    path.write_bytes(b"")


def swap_folders(path: Path) -> None:
    """As a volume that goes, and another that comes."""
    path.parent.rename(path.parent.with_name("away"))
    path.parent.mkdir()


def move_away_and_back(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.with_name("away").rename(path)


def make_killed(path: Path, notes: Record) -> None:
    """Leave a database and its log as a server does that is killed."""
    program = (
        "import os, signal, sys; from pathlib import Path; "
        "from audio_server.state.file import StateFile; "
        "from audio_server.state.record import Record; "
        f"StateFile(Path(sys.argv[1])).write(Record({dict(notes.modes)!r}, {notes.names!r})); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL


LOSSES = [
    delete,
    delete_all,
    delete_folder,
    delete_log,
    replace_by_garbage,
    replace_by_nothing,
    replace_by_a_folder,
    replace_log_by_a_folder,
    replace_by_another,
    replace_both_by_another,
    overwrite_by_another,
    overwrite_log,
    cut_log,
    cut_log_to_its_header,
    overwrite_header,
    overwrite_a_page,
    put_a_link_in_its_place,
    truncate,
    swap_folders,
]
losses = pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)


@pytest.fixture(autouse=True)
def a_quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "LOOK_S", 0.02)


def after_kill(path: Path, tmp_path: Path) -> Record:
    """What a server would find if this one were killed now."""
    copy = tmp_path / "after-kill"
    shutil.copytree(path.parent, copy)
    with StateFile(copy / path.name) as file:
        found = file.read()
    shutil.rmtree(copy)
    return found


async def fill(store: FileModeStore) -> None:
    store.put("a", 1)
    store.inventory.put_name("a", "Küche")
    store.put("gone", 2)
    await store.wait_durable("gone")
    store.put("gone", 0)
    await store.wait_durable("gone")


@losses
async def test_the_next_press_is_kept_with_all_before_it(lose, path, tmp_path, logged) -> None:
    async with open_modes(path.parent) as store:
        await fill(store)
        lose(path)
        store.put("b", 3)
        await store.wait_durable("b")
        assert after_kill(path, tmp_path) == Record({"a": 1, "b": 3}, {"a": "Küche"})
        assert warnings(logged) == LOST
        store.put("c", 4)
        await store.wait_durable("c")
    with StateFile(path) as file:
        assert file.read() == Record({"a": 1, "b": 3, "c": 4}, {"a": "Küche"})
    assert warnings(logged) == LOST


@losses
async def test_it_is_noticed_without_a_press(lose, path, tmp_path, logged) -> None:
    async with open_modes(path.parent) as store:
        await fill(store)
        lose(path)
        await soon(lambda: bool(warnings(logged)))
        await soon(lambda: path.is_file() and log_of(path).is_file())
        store.inventory.put_name("b", "hall")
        await store.inventory.wait_durable("b")
        assert after_kill(path, tmp_path) == Record({"a": 1}, {"a": "Küche", "b": "hall"})
    assert warnings(logged) == LOST


async def test_what_was_put_in_its_place_is_set_aside_whole(path, logged) -> None:
    async with open_modes(path.parent) as store:
        await fill(store)
        replace_by_another(path)
        store.put("b", 3)
        await store.wait_durable("b")
    (aside,) = path.parent.glob("state.db.replaced-*")
    assert logged[0]["now"] == str(aside)
    with StateFile(aside) as file:
        assert file.read().modes == {"stranger": 4}


@pytest.mark.parametrize("touch", [Path.touch, move_away_and_back])
async def test_what_only_looks_changed_is_left_alone(touch, path, logged) -> None:
    async with open_modes(path.parent) as store:
        await fill(store)
        touch(path)
        store.put("b", 3)
        await store.wait_durable("b")
    assert warnings(logged) == []
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


async def test_a_volume_that_comes_back_gets_the_newest(path, logged) -> None:
    away = path.parent.with_name("away")
    async with open_modes(path.parent) as store:
        await fill(store)
        path.parent.rename(away)
        store.put("b", 3)
        await store.wait_durable("b")
        shutil.rmtree(path.parent)
        away.rename(path.parent)
        store.put("c", 4)
        await store.wait_durable("c")
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1, "b": 3, "c": 4}
    assert warnings(logged) == LOST * 2


HOLD = (
    "import sys; from pathlib import Path; from audio_server.state.file import StateFile; "
    "from audio_server.state.record import Record; file = StateFile(Path(sys.argv[1])); "
    "file.write(Record({'theirs': 1})); print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def another_server(path: Path) -> Iterator[None]:
    """Another process that has the file open, as a server does."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.stdin.close()


async def test_a_file_that_another_server_has_locked_is_left_alone(
    path, logged, monkeypatch
) -> None:
    monkeypatch.setattr("audio_server.state.file._BUSY_S", 0.01)
    monkeypatch.setattr(modes, "RETRY_S", 0.05)
    async with open_modes(path.parent) as store:
        await fill(store)
        with another_server(path.with_name("theirs.db")):
            for suffix in ("", "-wal"):
                path.with_name("theirs.db" + suffix).replace(path.with_name("state.db" + suffix))
            theirs = path.stat().st_ino
            store.put("b", 3)
            await store.wait_durable("b")
            await trio.sleep(0.2)  # several tries
            assert path.stat().st_ino == theirs
            assert store.get("b") == 3
            assert warnings(logged) == ["modes are kept in memory only"]
            assert "in use by another server" in logged[0]["reason"]
            assert log_of(path).exists()
        await soon(lambda: logged[-1]["event"] == "modes are kept in the file again")
    (aside,) = path.parent.glob("state.db.replaced-*")
    with StateFile(aside) as file:
        assert file.read().modes == {"theirs": 1}
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1, "b": 3}


async def test_a_folder_that_cannot_be_made_again(path, logged, monkeypatch) -> None:
    monkeypatch.setattr(modes, "RETRY_S", 0.05)
    async with open_modes(path.parent) as store:
        await fill(store)
        shutil.rmtree(path.parent)
        path.parent.write_text("a file, where a folder should be")
        store.put("b", 3)
        await store.wait_durable("b")
        await trio.sleep(0.2)
        assert warnings(logged) == ["modes are kept in memory only"]
        path.parent.unlink()
        await soon(lambda: logged[-1]["event"] == "modes are kept in the file again")
    with StateFile(path) as file:
        assert file.read() == Record({"a": 1, "b": 3}, {"a": "Küche"})


@pytest.mark.parametrize(
    "lose", [delete_all, replace_by_another, replace_by_garbage, replace_by_nothing]
)
async def test_one_lost_while_the_disk_failed_is_written_whole(
    lose: Callable[[Path], None], path, logged, monkeypatch
) -> None:
    monkeypatch.setattr(modes, "RETRY_S", 0.05)
    fails: list[Exception] = []

    class FailingFile(StateFile):
        def write(self, notes: Record) -> None:
            if fails:
                raise fails.pop()
            super().write(notes)

    store = FileModeStore(path, open_file=FailingFile)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await fill(store)
        fails.append(sqlite3.OperationalError("disk I/O error"))
        store.put("b", 3)
        await store.wait_durable("b")
        lose(path)
        await soon(lambda: logged[-1]["event"] == "modes are kept in the file again")
        nursery.cancel_scope.cancel()
    with StateFile(path) as file:
        assert file.read() == Record({"a": 1, "b": 3}, {"a": "Küche"})


@losses
async def test_one_lost_when_its_disk_is_full_gets_all_once_there_is_room(
    lose, path, logged, monkeypatch
) -> None:
    monkeypatch.setattr(modes, "RETRY_S", 0.05)
    full = {"is": False}

    class FullFile(StateFile):
        def write(self, notes: Record) -> None:
            self.check()
            if full["is"]:
                raise sqlite3.OperationalError("database or disk is full")
            super().write(notes)

    store = FileModeStore(path, open_file=FullFile)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await fill(store)
        full["is"] = True
        lose(path)
        store.put("b", 3)
        store.put("a", 0)
        await store.wait_durable("b")
        assert warnings(logged)[-1] == "modes are kept in memory only"
        await trio.sleep(0.15)
        full["is"] = False
        await soon(lambda: logged[-1]["event"] == "modes are kept in the file again")
        nursery.cancel_scope.cancel()
    with StateFile(path) as file:
        assert file.read() == Record({"b": 3}, {"a": "Küche"})


async def test_another_file_that_comes_in_place_of_a_lost_one_is_set_aside(
    path, logged, monkeypatch
) -> None:
    monkeypatch.setattr(modes, "RETRY_S", 0.05)
    async with open_modes(path.parent) as store:
        await fill(store)
        shutil.rmtree(path.parent)
        path.parent.write_text("a file, where a folder should be")
        store.put("b", 3)
        await store.wait_durable("b")
        with StateFile(path.parent.with_name("new") / path.name) as other:
            other.write(Record({"stranger": 4}))
        path.parent.unlink()
        path.parent.with_name("new").rename(path.parent)
        await soon(lambda: logged[-1]["event"] == "modes are kept in the file again")
    with StateFile(path) as file:
        assert file.read() == Record({"a": 1, "b": 3}, {"a": "Küche"})
    assert len(list(path.parent.glob("state.db.replaced-*"))) == 1


async def test_a_program_that_replaces_it_for_ever_does_not_fill_the_folder(path, logged) -> None:
    async with open_modes(path.parent) as store:
        for mode in range(1, keeper.ANEW_MAX + 5):
            await trio.to_thread.run_sync(replace_by_nothing, path)
            store.put("a", mode)
            await store.wait_durable("a")
        assert warnings(logged) == LOST * keeper.ANEW_MAX + ["modes are kept in memory only"]
        assert len(list(path.parent.glob("state.db.replaced-*"))) == keeper.ANEW_MAX


# A database that was restored beside a log that was left


def test_a_backup_beside_a_newer_log_is_what_counts(path, logged, tmp_path) -> None:
    with StateFile(path) as file:
        file.write(Record({"a": 1}))
    backup = path.read_bytes()
    make_killed(path, Record({"a": 2, "b": 2}))
    assert after_kill(path, tmp_path).modes == {"a": 2, "b": 2}
    assert warnings(logged) == []
    path.write_bytes(backup)
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1}
    assert warnings(logged) == ["log of another database set aside"]
    assert Path(logged[0]["now"]).exists()


def test_a_database_beside_the_log_of_another(path, logged) -> None:
    with StateFile(path) as file:
        file.write(Record({"a": 1}))
    make_killed(path.with_name("other.db"), Record({"b": 2}))
    log_of(path.with_name("other.db")).rename(log_of(path))
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1}
    assert warnings(logged) == ["log of another database set aside"]


def test_a_log_without_its_database(path, logged) -> None:
    make_killed(path, Record({"a": 1}))
    path.unlink()
    with StateFile(path) as file:
        assert file.read() == Record()
    assert warnings(logged) == ["log of another database set aside"]


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 32, b"\0" * 10_000])
def test_a_log_that_says_nothing_is_no_news(content, path, logged) -> None:
    with StateFile(path) as file:
        file.write(Record({"a": 1}))
    log_of(path).write_bytes(content)
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1}
    assert warnings(logged) == []


def test_whatever_generation_a_server_is_killed_in_nothing_is_lost(
    path, logged, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("audio_server.state.file._LOG_MAX_BYTES", 20_000)
    with StateFile(path) as file:
        for mode in range(1, 30):
            file.write(Record({"a": mode, f"device-{mode}": mode}))
            assert after_kill(path, tmp_path).modes["a"] == mode
        assert log_of(path).stat().st_size < 60_000
    assert warnings(logged) == []


def test_a_checkpoint_that_was_cut_short_loses_nothing(path, logged) -> None:
    """Its pages are in the database, its log is still there."""
    make_killed(path, Record({"a": 1}))
    log = log_of(path).read_bytes()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("UPDATE generations SET before = now, now = randomblob(16)")
    whole = log_of(path).read_bytes()
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    db.close()
    assert len(whole) > len(log)
    log_of(path).write_bytes(whole)
    with StateFile(path) as file:
        assert file.read().modes == {"a": 1}
    assert warnings(logged) == []
