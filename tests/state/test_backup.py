"""A backup has one moment of a server that writes; a restore is whole or nothing."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.state.backup import SETTINGS_FILE, back_up, copy_of_state, restore
from audio_server.state.file import StateFile
from audio_server.state.on_disk import StateUnusable, log_of
from audio_server.state.record import Record

# Two devices always have the same mode, and the log is emptied every few writes.
WRITER = """
import sys
from collections import OrderedDict
from pathlib import Path
from audio_server.state import file
from audio_server.state.record import Record
file._LOG_MAX_BYTES = 40_000
with file.StateFile(Path(sys.argv[1])) as opened:
    for mode in range(1, 1_000_000):
        opened.write(Record(OrderedDict({"a": mode, "b": mode})))
        if mode == 1:
            print("writing", flush=True)
"""


@contextmanager
def writing(data: Path) -> Iterator[None]:
    """A process that writes to the state file as fast as it can."""
    command = [sys.executable, "-c", WRITER, str(data / "state.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield
        finally:
            assert process.poll() is None, "it had the file until the end"
            process.kill()


def modes_of(database: bytes, folder: Path) -> dict[str, int]:
    path = folder / "looked-into.db"
    path.write_bytes(database)
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT device_id, mode FROM modes"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a bit of everything."""
    data = tmp_path / "data"
    with StateFile(data / "state.db") as file:
        file.write(Record(OrderedDict(kitchen=3), {"kitchen": "The Kitchen"}))
    (data / "http-token").write_text("secret")
    (data / "tokens.json").write_text("{}")
    (data / "state.db.corrupt-20260101-000000").write_text("old")
    (data / "clips").mkdir()
    (data / "clips" / "0-bell.opus").write_bytes(b"sound")
    return data


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_state_is_one_moment_of_a_server_that_writes(tmp_path: Path) -> None:
    seen = []
    with writing(tmp_path / "data"):
        for _ in range(40):
            modes = modes_of(copy_of_state(tmp_path / "data" / "state.db"), tmp_path)
            assert modes["a"] == modes["b"]
            seen.append(modes["a"])
    assert seen == sorted(seen)
    assert seen[-1] > seen[0] + 20


def test_there_and_back(data: Path, tmp_path: Path) -> None:
    (tmp_path / "audio.toml").write_text("lead_ms = 200")
    target = tmp_path / "kept.tar"
    back_up(target, data, data / "clips", tmp_path / "audio.toml")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    before = content(data)
    (data / "http-token").write_text("another")
    former = restore(target, data)
    assert former is not None
    assert (former / "http-token").read_text() == "another"
    after = content(data)
    assert after.keys() == {*before, SETTINGS_FILE} - {"state.db.corrupt-20260101-000000"}
    assert after["http-token"] == b"secret"
    assert after[SETTINGS_FILE] == b"lead_ms = 200"
    assert all(not path.stat().st_mode & 0o077 for path in data.rglob("*"))
    with StateFile(data / "state.db") as file:
        found = file.read()
    assert (found.modes, found.names) == ({"kitchen": 3}, {"kitchen": "The Kitchen"})
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """The folders that are flushed to the disk, each with the names that it has then."""
    folders: list[tuple[str, set[str]]] = []
    monkeypatch.setattr(
        OpenFolder, "flush", lambda self: folders.append((self.path.name, self.names()))
    )
    return folders


def test_names_are_on_the_disk_before_it_is_said_to_be_done(
    data: Path, tmp_path: Path, flushed: list[tuple[str, set[str]]]
) -> None:
    back_up(tmp_path / "kept.tar", data, data / "clips", None)
    assert [name for name, names in flushed if "kept.tar" in names] == [tmp_path.name]
    flushed.clear()
    former = restore(tmp_path / "kept.tar", data)
    assert former is not None
    clips, part, parent = flushed
    assert clips == ("clips", {"0-bell.opus"})
    assert part[1] == {"state.db", "http-token", "tokens.json", "clips"}
    assert parent[1] >= {"data", former.name}


def test_in_a_new_place(data: Path, tmp_path: Path) -> None:
    back_up(tmp_path / "kept.tar", data, None, None)
    assert restore(tmp_path / "kept.tar", tmp_path / "far" / "away") is None
    assert content(tmp_path / "far" / "away").keys() == {"state.db", "http-token", "tokens.json"}


def test_a_backup_of_a_server_that_runs_can_be_restored_once_it_has_ended(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "kept.tar"
    with writing(data):
        back_up(target, data, None, None)
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(StateUnusable, match="in use by another server"):
            restore(target, data)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert restore(target, data) is not None
    assert not log_of(data / "state.db").exists()


def test_a_log_of_another_database_is_not_taken(data: Path, tmp_path: Path) -> None:
    with writing(tmp_path / "other"):
        log_of(data / "state.db").write_bytes(log_of(tmp_path / "other" / "state.db").read_bytes())
    assert modes_of(copy_of_state(data / "state.db"), tmp_path) == {"kitchen": 3}


def test_a_backup_never_takes_the_place_of_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.tar").write_text("mine")
    with pytest.raises(SetupError, match=r"kept.tar: exists already; choose another name"):
        back_up(tmp_path / "kept.tar", data, None, None)
    with pytest.raises(SetupError, match=r"nowhere.*: No such file or directory"):
        back_up(tmp_path / "nowhere" / "kept.tar", data, None, None)
    with pytest.raises(SetupError, match=r"nothing: no data folder; name one with --data FOLDER"):
        back_up(tmp_path / "other.tar", tmp_path / "nothing", None, None)
    (data / "state.db").write_bytes(b"no database" * 999)
    with pytest.raises(SetupError, match=r"state.db: damaged: "):
        back_up(tmp_path / "other.tar", data, None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "kept.tar"]


def packed(*entries: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                tar.addfile(info, io.BytesIO(entry[1]))
    return file.getvalue()


def link(name: str, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info


ABOUT = ("backup.json", b'{"format": 1}')
NO_BACKUPS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no tar": lambda: b"x" * 5000,
    "an empty tar": lambda: packed(),
    "another tar": lambda: packed(("README.md", b"")),
    "another about": lambda: packed(("backup.json", b"[]")),
    "a way out": lambda: packed(ABOUT, ("../../out", b"")),
    "a way out of clips": lambda: packed(ABOUT, ("clips/../../out", b"")),
    "an absolute path": lambda: packed(ABOUT, ("/tmp/out", b"")),
    "a file in place of clips": lambda: packed(ABOUT, ("clips", b"")),
    "a link": lambda: packed(ABOUT, link("http-token", "/etc/passwd")),
    "twice": lambda: packed(ABOUT, ("http-token", b"a"), ("http-token", b"b")),
    "cut short": lambda: packed(ABOUT, ("http-token", b"a" * 5000))[:3000],
    "a bad database": lambda: packed(ABOUT, ("state.db", b"no database" * 999)),
    "a newer one": lambda: packed(("backup.json", json.dumps({"format": 99}).encode())),
}


@pytest.mark.parametrize("kind", NO_BACKUPS)
def test_what_is_no_backup_changes_nothing(kind: str, data: Path, tmp_path: Path) -> None:
    before = content(data)
    (tmp_path / "bad.tar").write_bytes(NO_BACKUPS[kind]())
    reason = "newer version" if kind == "a newer one" else "no backup of this server"
    with pytest.raises(SetupError, match=rf"bad.tar: .*{reason}"):
        restore(tmp_path / "bad.tar", data)
    assert content(data) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "data"]


def test_a_backup_that_is_not_there(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"lost.tar: No such file or directory"):
        restore(tmp_path / "lost.tar", data)
