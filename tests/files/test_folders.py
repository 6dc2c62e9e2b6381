"""Files are written in one step, within their folder, on file systems of every kind."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_server.files.folders import OpenFolder, is_part, is_plain

NOT_PLAIN = ("", ".", "..", "../a", "a/b", "/etc/passwd", "a\0b", "/")

Real = Callable[..., Any]


def refuse(code: int) -> Real:
    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return refused


def refuse_folders(fd: int) -> None:
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture(params=["as usual", "no links", "no fsync", "no fsync of folders", "no locks"])
def odd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a file system cannot do."""
    match request.param:
        case "no links":
            monkeypatch.setattr(os, "link", refuse(errno.EPERM))
        case "no fsync":
            monkeypatch.setattr(os, "fsync", refuse(errno.ENOSYS))
        case "no fsync of folders":
            monkeypatch.setattr(os, "fsync", refuse_folders)
        case "no locks":
            monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[OpenFolder]:
    with OpenFolder(tmp_path) as opened:
        yield opened


@pytest.mark.usefixtures("odd")
def test_what_a_file_system_cannot_do_fails_nothing(folder: OpenFolder) -> None:
    folder.lock(0)
    folder.create("a", b"one", mode=0o600)
    with pytest.raises(FileExistsError):
        folder.create("a", b"two")
    folder.write("a", b"three")
    folder.write("b", b"four")
    folder.rename("b", "c")
    assert folder.names() == {"a", "c"}
    assert (folder.read("a", 5), folder.read("c", 5)) == (b"three", b"four")
    folder.remove("a")
    folder.remove("a")
    assert folder.names() == {"c"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_disk_that_does_not_keep_a_file_is_an_error(
    folder: OpenFolder, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("a", b"one")
    monkeypatch.setattr(os, "fsync", refuse(code))
    for act in (folder.write, folder.create):
        with pytest.raises(OSError, match=os.strerror(code)):
            act("a", b"two")
    assert folder.names() == {"a"}
    assert folder.read("a", 9) == b"one"


def test_a_name_that_cannot_be_given_leaves_nothing(folder: OpenFolder) -> None:
    (folder.path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        folder.write("a", b"one")
    for act in (folder.write, folder.create):
        with pytest.raises(ValueError, match="not the name of an entry"):
            act("../a", b"one")
    assert folder.names() == {"a"}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_nothing_outside_is_reached(folder: OpenFolder, name: str) -> None:
    assert not is_plain(name)
    folder.write("here", b"")
    for act in (
        lambda: folder.read(name, 9),
        lambda: folder.remove(name),
        lambda: folder.rename("here", name),
        lambda: folder.rename(name, "there"),
        lambda: folder.publish("here", name),
        lambda: folder.holds(name),
    ):
        with pytest.raises(ValueError, match="not the name of an entry"):
            act()
    assert folder.names() == {"here"}


def test_links_are_not_followed(
    folder: OpenFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "mine"
    outside.write_bytes(b"mine")
    for name in "abc":
        (folder.path / name).symlink_to(outside)
    with pytest.raises(OSError):  # noqa: PT011  (systems differ in what they call it)
        folder.read("a", 9)
    folder.write("a", b"new")
    folder.remove("b")
    folder.rename("c", "d")
    assert outside.read_bytes() == b"mine"
    assert folder.read("a", 9) == b"new"
    assert (folder.path / "d").is_symlink()
    assert folder.names() == {"a", "d"}


def test_only_files_of_the_right_size_are_read(folder: OpenFolder) -> None:
    os.mkfifo(folder.path / "fifo")  # it has no writer: to wait for one would take for ever
    (folder.path / "folder").mkdir()
    folder.write("large", b"12345")
    for name, reason in (
        ("fifo", "Not a regular"),
        ("folder", "Not a reg|Is a dir"),
        ("large", "too large"),
    ):
        with pytest.raises(OSError, match=reason):
            folder.read(name, 4)
    assert folder.read("large", 5) == b"12345"


def test_it_stays_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with OpenFolder(tmp_path / "here") as folder:
        (tmp_path / "here").rename(tmp_path / "moved")
        (tmp_path / "here").symlink_to("elsewhere")
        folder.write("a", b"one")
    assert (tmp_path / "moved" / "a").read_bytes() == b"one"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_modes_are_those_asked_for(folder: OpenFolder) -> None:
    folder.write("a", b"", mode=0o600)
    folder.create("b", b"", mode=0o600)
    assert {stat.S_IMODE((folder.path / name).stat().st_mode) for name in "ab"} == {0o600}


def test_a_part_is_told_by_its_name(folder: OpenFolder) -> None:
    part = folder.write_part(b"one")
    assert is_part(part)
    assert not is_part("song.mp3.part")
    folder.publish(part, "a")
    assert folder.names() == {"a"}


def test_a_lock_has_a_deadline(folder: OpenFolder) -> None:
    with OpenFolder(folder.path) as other:
        other.lock(0)
        with pytest.raises(TimeoutError):
            folder.lock(0)
    before = time.monotonic()
    folder.lock(60)
    assert time.monotonic() - before < 30
