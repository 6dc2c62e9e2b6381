"""What is done to a folder of clips is done whole or not at all, wherever it is cut off."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from clip_folder import names

from audio_server.clips import folder_ops
from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.folder import clip_files
from audio_server.clips.naming import titles_of
from audio_server.files.folders import OpenFolder

FILES = {"00-a.opus": "A", "01-b.wav": "B", "02-a.opus": "C", "3-plain": "D"}
BESIDE = ("README.md", ".hidden")

Change: TypeAlias = Callable[[Path], object]

CHANGES: dict[str, tuple[Change, str]] = {
    "place": (lambda folder: folder_ops.place(folder, "new", b"N"), "ABCDN"),
    "remove": (lambda folder: folder_ops.remove(folder, "01-b.wav"), "ACD"),
    "replace": (lambda folder: folder_ops.replace(folder, "00-a.opus", b"N"), "NBCD"),
    "replace with another suffix": (lambda f: folder_ops.replace(f, "01-b.wav", b"N"), "ANCD"),
    "reorder": (
        lambda f: folder_ops.reorder(f, ["3-plain", "02-a.opus", "01-b.wav", "00-a.opus"]),
        "DCBA",
    ),
    "swap two of one title": (
        lambda f: folder_ops.reorder(f, ["02-a.opus", "01-b.wav", "00-a.opus", "3-plain"]),
        "CBAD",
    ),
}
STEPS = ("rename", "unlink", "link", "open", "mkdir", "fsync", "replace")


@pytest.fixture
def filled(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).write_text(content)
    for name in BESIDE:
        (folder / name).touch()
    return folder


def order(folder: Path) -> str:
    return "".join(file.path.read_text() for file in clip_files(folder))


def clips(folder: Path) -> list[str]:
    return [file.name for file in clip_files(folder)]


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[str]]:
    """Nothing is done to any file after so many steps, not even cleaning up. Gives the steps."""
    done: list[str] = []

    def dying(step: str) -> Any:
        do: Any = getattr(os, step)

        def wrapped(*args: object, **kwargs: object) -> object:
            if len(done) >= after:
                raise Killed
            done.append(step)
            return do(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for step in STEPS:
            patch.setattr(os, step, dying(step))
        try:
            yield done
        except Killed:
            assert len(done) == after


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("name", CHANGES)
def test_whole_or_not_at_all(
    name: str, has_links: bool, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    change, after = CHANGES[name]
    for steps in range(100):
        for entry in filled.iterdir():
            entry.unlink()
        for file, content in FILES.items():
            (filled / file).write_text(content)
        with killed(monkeypatch, steps) as done:
            change(filled)
        found = order(filled)
        assert found in ("ABCD", after), done
        folder_ops.place(filled, "last", b"L")
        assert order(filled) == f"{found}L", done
        assert names(filled) == clips(filled)
        if len(done) < steps:
            break
    assert found == after
    assert steps >= 2


def refuse(code: int) -> Callable[..., Any]:
    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return refused


ORDERS = {
    "reorder": ["3-plain", "02-a.opus", "01-b.wav", "00-a.opus"],
    "swap two of one title": ["02-a.opus", "01-b.wav", "00-a.opus", "3-plain"],
}


STEPS_OF = {"reorder": 4, "swap two of one title": 6}
"""How many files are renamed."""


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("name", ORDERS)
def test_it_is_undone_if_a_file_cannot_be_renamed(
    name: str, at: int, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step it is: on the way through other names, or from there."""
    before = names(filled)
    real, count = os.rename, 0

    def refuse_once(old: str, new: str, **kwargs: Any) -> None:
        nonlocal count
        if not old.endswith(".json") and not new.endswith(".json"):
            count += 1
            if count == at + 1:
                raise PermissionError(1, "Operation not permitted")
        real(old, new, **kwargs)

    monkeypatch.setattr(os, "rename", refuse_once)
    if at >= STEPS_OF[name]:
        folder_ops.reorder(filled, ORDERS[name])
        assert count == STEPS_OF[name]
        return
    with pytest.raises(ClipError) as refused:
        folder_ops.reorder(filled, ORDERS[name])
    assert str(refused.value) == f"{filled}: cannot be written to (Operation not permitted)"
    assert names(filled) == before
    assert order(filled) == "ABCD"


def test_names_of_the_files(filled: Path) -> None:
    """A clip keeps its title, also where another one has the same."""
    folder_ops.reorder(filled, ["02-a.opus", "3-plain", "01-b.wav", "00-a.opus"])
    assert clips(filled) == ["00-a.opus", "01-plain", "02-b.wav", "03-a.opus"]
    assert order(filled) == "CDBA"
    folder_ops.reorder(filled, ["00-a.opus", "01-plain", "02-b.wav", "03-a.opus"])
    assert order(filled) == "CDBA"
    folder_ops.reorder(filled, ["03-a.opus", "01-plain", "02-b.wav", "00-a.opus"])
    assert clips(filled) == ["00-a.opus", "01-plain", "02-b.wav", "03-a.opus"]
    assert order(filled) == "ADBC"
    assert set(names(filled)) == {*clips(filled), *BESIDE}


@pytest.mark.parametrize(
    "wrong", [[], ["00-a.opus"], [*FILES, "00-a.opus"], ["README.md", *list(FILES)[1:]]]
)
def test_an_order_has_each_clip_once(filled: Path, wrong: list[str]) -> None:
    with pytest.raises(ClipError, match="each clip that is in the folder, once"):
        folder_ops.reorder(filled, wrong)


def test_a_change_that_hangs_is_not_waited_for(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_ops, "LOCKED_S", 0.05)
    fd = os.open(filled, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(ClipError, match="another process is changing it"):
            folder_ops.remove(filled, "01-b.wav")
    finally:
        os.close(fd)
    folder_ops.remove(filled, "01-b.wav")
    assert order(filled) == "ACD"


@pytest.mark.parametrize("measure", ["link", "fsync of folders", "flock"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_measure_that_cannot_be_had_fails_no_change(
    name: str, measure: str, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def no_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    match measure:
        case "link":
            monkeypatch.setattr(os, "link", refuse(errno.EPERM))
        case "flock":
            monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
        case _:
            monkeypatch.setattr(os, "fsync", no_folders)
    change, after = CHANGES[name]
    change(filled)
    assert order(filled) == after
    assert set(names(filled)) == {*clips(filled), *BESIDE}


def test_a_name_that_is_too_long_for_a_number(folder: Path) -> None:
    for name in ("a" * 255, "b"):
        (folder / name).touch()
    with pytest.raises(ClipError, match=r"^01-aaa.*: File name too long: 258 bytes, .* takes 255"):
        folder_ops.reorder(folder, ["b", "a" * 255])
    assert names(folder) == ["a" * 255, "b"]


@pytest.mark.parametrize(("title", "takes"), [("é" * 122, True), ("é" * 123 + "ee", False)])
def test_a_title_has_as_many_bytes_as_the_file_system_takes(
    folder: Path, title: str, takes: bool
) -> None:
    if takes:
        folder_ops.check_room(folder, title)
        assert titles_of([folder_ops.place(folder, title, b"N")]) == [title]
        return
    for act in (
        lambda: folder_ops.check_room(folder, title),
        lambda: folder_ops.place(folder, title, b"N"),
    ):
        with pytest.raises(ClipError, match="File name too long: 256 bytes"):
            act()
    assert names(folder) == []


def test_the_last_clip_stays(folder: Path) -> None:
    (folder / "a.wav").touch()
    (folder / "audio.zip").touch()
    with pytest.raises(ClipError, match=r"a\.wav: is the only clip"):
        folder_ops.remove(folder, "a.wav", ["audio.zip"])


def test_what_is_no_clip_is_not_touched(filled: Path) -> None:
    for name in (*BESIDE, "nowhere.wav", "../secret"):
        with pytest.raises(NoSuchClip):
            folder_ops.remove(filled, name)
        with pytest.raises(NoSuchClip):
            folder_ops.replace(filled, name, b"N")


def test_what_is_left_out_keeps_its_name(filled: Path) -> None:
    (filled / "02-audio.zip").write_text("Z")
    folder_ops.reorder(filled, ["3-plain", *list(FILES)[:3]], ["02-audio.zip"])
    assert [name for name in names(filled) if name not in BESIDE] == [
        *("00-plain", "01-a.opus", "02-audio.zip", "02-b.wav", "03-a.opus"),
    ]


def test_what_has_the_name_of_a_clip_is_not_overwritten(filled: Path) -> None:
    """It is no clip, and clips get longer numbers."""
    for name in ("00-plain", "04-new.opus"):
        (filled / name).mkdir()
    folder_ops.reorder(filled, ["3-plain", *list(FILES)[:3]])
    assert clips(filled) == ["000-plain", "001-a.opus", "002-b.wav", "003-a.opus"]
    assert order(filled) == "DABC"
    (filled / "004-new.opus").mkdir()
    folder_ops.place(filled, "new", b"N")
    assert order(filled) == "DABCN"


def test_a_clip_of_the_name_that_another_format_would_have(filled: Path) -> None:
    (filled / "01-b.opus").write_text("E")
    assert order(filled) == "AEBCD"
    assert folder_ops.replace(filled, "01-b.wav", b"N") == "02-b.opus"
    assert order(filled) == "AENCD"
    assert titles_of(clips(filled)) == ["a", "b", "b", "a", "plain"]


def test_a_clip_stays_where_it_is_though_its_suffix_changes(folder: Path) -> None:
    for name, content in {"x.p.wav": "A", "x.wav": "B"}.items():
        (folder / name).write_text(content)
    folder_ops.replace(folder, "x.wav", b"N")
    assert order(folder) == "AN"
    assert titles_of(clips(folder)) == ["x.p", "x"]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("at", [1, 2])
def test_a_change_while_the_folder_is_listed_is_seen_whole(
    at: int, name: str, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another process: before the names are listed, when the journal was read, or after."""
    real, count = OpenFolder.entries, 0

    def entries(self: OpenFolder) -> list[os.DirEntry[str]]:
        nonlocal count
        count += 1
        before = real(self)
        if count != 1:
            return before
        folder_ops.reorder(filled, ORDERS[name])
        return before if at == 1 else real(self)

    monkeypatch.setattr(OpenFolder, "entries", entries)
    assert order(filled) == CHANGES[name][1]


def test_a_folder_that_never_rests_is_listed(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = OpenFolder.entries

    def entries(self: OpenFolder) -> list[os.DirEntry[str]]:
        self.discard(self.write_part(b""))
        os.utime(filled, ns=(0, next(times)))
        return real(self)

    times = itertools.count(1)
    monkeypatch.setattr(OpenFolder, "entries", entries)
    assert order(filled) == "ABCD"


def test_links_are_changed_and_not_what_they_lead_to(filled: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.opus"
    outside.write_text("O")
    for name in ("4-link.opus", "5-link.opus"):
        (filled / name).symlink_to(outside)
    assert order(filled) == "ABCDOO"
    folder_ops.replace(filled, "4-link.opus", b"N")
    folder_ops.remove(filled, "5-link.opus")
    assert order(filled) == "ABCDN"
    assert outside.read_text() == "O"
