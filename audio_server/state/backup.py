"""A data folder in one file, also while a server uses it, and the way back. Everything here blocks.

SQLite cannot open the state file of a running server: the server holds its lock for as long as it
runs (`state.file`). But the log only grows until it is emptied into the database, and both then
have other random names in them (`generations`). So a copy of both is one state if, after it was
taken, the database is the same and the log begins with the copied one.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp, mkstemp

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder, is_plain
from audio_server.files.running import RUNNING_FILE
from audio_server.state.file import StateDamaged, StateUnusable, check_whole, version_of
from audio_server.state.generations import has_foreign_log, read_log
from audio_server.state.modes import STATE_FILE
from audio_server.state.on_disk import log_of, not_in_use

SETTINGS_FILE = "settings.toml"
"""Name of the file of settings, in the backup and in a data folder that was restored."""

CLIPS = "clips"
ABOUT_FILE, FORMAT = "backup.json", 1

TRIES = 100
"""How often the state file is read until nothing has changed meanwhile."""

LOCKED_S = 10.0
"""How long a change of the clips may take."""


def back_up(target: Path, data: Path, clips: Path | None, settings: Path | None) -> None:
    """Write a data folder, clips and settings to a new file `target`, which only its owner can
    read. A server may run, and change them. Raises `SetupError`, with no file left behind."""
    if os.path.lexists(target):
        raise SetupError(target, "exists already; choose another name")
    if not data.is_dir():
        raise SetupError(data, "no data folder; name one with --data FOLDER")
    with _explained(target):
        fd, name = mkstemp(prefix=".", suffix=".part", dir=target.parent)
        part = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    _write(tar, data, clips, settings)
                file.flush()
                os.fsync(fd)
            os.link(part, target)  # unlike a rename, never in place of another file
            _flush(target.parent)
        finally:
            part.unlink()


def _write(tar: tarfile.TarFile, data: Path, clips: Path | None, settings: Path | None) -> None:
    _add(tar, ABOUT_FILE, json.dumps({"format": FORMAT}).encode())
    if (data / STATE_FILE).is_file():
        _add(tar, STATE_FILE, copy_of_state(data / STATE_FILE))
    for path in sorted(data.iterdir()):
        if path.is_file() and _is_kept(path.name):
            _add(tar, path.name, path.read_bytes())
    if settings is not None:
        _add(tar, SETTINGS_FILE, settings.read_bytes())
    if clips is not None:
        with OpenFolder(clips) as folder:
            folder.lock(LOCKED_S)  # so that no change is half-way
            for path in sorted(clips.iterdir()):
                if path.is_file():
                    _add(tar, f"{CLIPS}/{path.name}", path.read_bytes())


def _is_kept(name: str) -> bool:
    """Whether a file of the data folder is to be in a backup, besides the state file."""
    others = name.startswith((STATE_FILE, "."))
    return not others and name not in (RUNNING_FILE, ABOUT_FILE, SETTINGS_FILE)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
    tar.addfile(entry, BytesIO(content))


def copy_of_state(path: Path) -> bytes:
    """Return a database with all that is in a state file and its log, of one moment.

    This process must not have the file open: its own locks would go. Raises `StateUnusable` for a
    file that changes all the time, `StateDamaged` and `OSError`.
    """
    with TemporaryDirectory() as folder:
        copy, whole = Path(folder, STATE_FILE), Path(folder, "whole.db")
        for _ in range(TRIES):
            database, log = path.read_bytes(), read_log(log_of(path))
            if path.read_bytes() == database and read_log(log_of(path)).startswith(log):
                break
        else:
            raise StateUnusable(path, "changes faster than it can be read; try again")
        copy.write_bytes(database)
        log_of(copy).write_bytes(log)
        if has_foreign_log(copy):
            log_of(copy).unlink()
        try:
            with (
                closing(sqlite3.connect(copy)) as source,
                closing(sqlite3.connect(whole)) as target,
            ):
                source.backup(target)
                _check(target, path)
        except sqlite3.Error as error:
            raise StateDamaged(path, f"damaged: {error}") from error
        return whole.read_bytes()


def _check(database: sqlite3.Connection, path: Path) -> None:
    check_whole(database, path)
    version_of(database, path)


def restore(backup: Path, data: Path) -> Path | None:
    """Put the content of a backup in the place of a data folder; return the former one's new name,
    if there was one. It is on the disk then: a power cut leaves the folder as it was before or as
    it is after, or, in the moment between two renames, under its new name alone. Raises
    `SetupError`, with the folder as it was, for a file that is no backup and for a folder that a
    server uses."""
    with _explained(data), ExitStack() as stack:
        data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = Path(mkdtemp(prefix=".restore.", suffix=".part", dir=data.parent))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        _unpack(backup, part)
        stack.enter_context(not_in_use(data / STATE_FILE))
        former = _swap(part, data)
        _flush(data.parent)
        return former


def _swap(part: Path, data: Path) -> Path | None:
    """Have `part` be the data folder, and return the new name of the former one."""
    if not os.path.lexists(data):
        part.rename(data)
        return None
    former = data.with_name(f"{data.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    data.rename(former)
    try:
        part.rename(data)
    except BaseException:
        former.rename(data)
        raise
    return former


def _flush(path: Path) -> None:
    """Have the names in a folder survive a power cut."""
    with OpenFolder(path) as folder:
        folder.flush()


def _unpack(backup: Path, folder: Path) -> None:
    try:
        with tarfile.open(backup, "r:") as tar:
            for number, entry in enumerate(tar):
                content = _content(tar, entry)
                if number == 0:
                    _check_about(entry.name, content, backup)
                    continue
                target = folder / entry.name
                target.parent.mkdir(mode=0o700, exist_ok=True)
                with target.open("xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(content)
                    os.fsync(file.fileno())
            if tar.offset == 0:
                raise ValueError("it is empty")
        for path in (folder / CLIPS, folder):
            if path.exists():
                _flush(path)
        if (folder / STATE_FILE).exists():
            with closing(sqlite3.connect(folder / STATE_FILE)) as database:
                _check(database, backup)
    except (tarfile.TarError, ValueError, sqlite3.Error, FileExistsError) as error:
        raise SetupError(backup, "is no backup of this server, or a damaged one") from error
    except OSError as error:
        if error.filename == str(backup):
            raise SetupError(backup, error.strerror or str(error)) from error
        raise


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """Return the content of a file in a backup. Raises `ValueError` for any other entry."""
    name = entry.name.removeprefix(f"{CLIPS}/")
    file = tar.extractfile(entry) if entry.isreg() and is_plain(name) and name != CLIPS else None
    content = b"" if file is None else file.read()
    if file is None or len(content) != entry.size:
        raise ValueError(entry.name)
    return content


def _check_about(name: str, content: bytes, backup: Path) -> None:
    about = json.loads(content) if name == ABOUT_FILE else None
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise ValueError(name)
    if about["format"] > FORMAT:
        raise SetupError(backup, "made by a newer version of this server")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the system into one that names a file."""
    try:
        yield
    except OSError as error:
        at = error.filename or path
        raise SetupError(os.fsdecode(at), error.strerror or str(error)) from error
