"""What is done to a folder of clips is done whole or not at all, wherever it is cut off."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from clip_folder import names
from hypothesis import given
from hypothesis import strategies as st

from audio_server.clips import folder_ops
from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.folder import clip_files
from audio_server.clips.journal import PLAN
from audio_server.clips.naming import numbered, title_of

FILES = {"00-a.opus": "A", "01-b.wav": "B", "02-a.opus": "C", "3-plain": "D"}
BESIDE = ("README.md", ".hidden")

Change: TypeAlias = Callable[[Path], object]

CHANGES: dict[str, tuple[Change, str]] = {
    "place": (lambda folder: folder_ops.place(folder, "new", b"N"), "ABCDN"),
    "remove": (lambda folder: folder_ops.remove(folder, "01-b.wav"), "ACD"),
    "replace": (lambda folder: folder_ops.replace(folder, "00-a.opus", b"N"), "NBCD"),
    "replace with another suffix": (lambda f: folder_ops.replace(f, "01-b.wav", b"N"), "ANCD"),
    "reorder": (
        lambda folder: folder_ops.reorder(
            folder, ["3-plain", "02-a.opus", "01-b.wav", "00-a.opus"]
        ),
        "DCBA",
    ),
    "swap two of one title": (
        lambda folder: folder_ops.reorder(
            folder, ["02-a.opus", "01-b.wav", "00-a.opus", "3-plain"]
        ),
        "CBAD",
    ),
}
STEPS = ("rename", "replace", "unlink", "hardlink_to", "open", "mkdir")


@pytest.fixture
def filled(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).write_text(content)
    for name in BESIDE:
        (folder / name).touch()
    return folder


def order(folder: Path) -> str:
    return "".join(file.path.read_text() for file in clip_files(folder))


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[str]]:
    """Nothing is done to any file after so many steps, not even cleaning up. Gives the steps."""
    done: list[str] = []

    def dying(step: str) -> Any:
        do: Any = getattr(Path, step)

        def wrapped(self: Path, *args: object, **kwargs: object) -> object:
            if len(done) >= after:
                raise Killed
            done.append(step)
            return do(self, *args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for step in STEPS:
            patch.setattr(Path, step, dying(step))
        try:
            yield done
        except Killed:
            assert len(done) == after


@pytest.mark.parametrize("name", CHANGES)
def test_whole_or_not_at_all(name: str, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert names(filled) == [file.name for file in clip_files(filled)]
        if len(done) < steps:
            break
    assert found == after
    assert steps >= 2


@pytest.mark.parametrize("name", ["reorder", "swap two of one title"])
def test_it_is_undone_if_a_file_cannot_be_changed(
    name: str, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, _ = CHANGES[name]
    before = names(filled)
    real = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "02-a.opus":
            raise PermissionError(1, "Operation not permitted")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ClipError) as refused:
        change(filled)
    assert str(refused.value) == f"{filled}: cannot be written to (Operation not permitted)"
    assert names(filled) == before


def test_names_of_the_files(filled: Path) -> None:
    folder_ops.reorder(filled, ["02-a.opus", "3-plain", "01-b.wav", "00-a.opus"])
    clips = [name for name in names(filled) if name not in BESIDE]
    assert clips == ["00-a 2.opus", "01-plain", "02-b.wav", "03-a.opus"]
    folder_ops.reorder(filled, ["00-a 2.opus", "01-plain", "02-b.wav", "03-a.opus"])
    assert clips == [name for name in names(filled) if name not in BESIDE]


@pytest.mark.parametrize(
    "wrong", [[], ["00-a.opus"], [*FILES, "00-a.opus"], ["README.md", *list(FILES)[1:]]]
)
def test_an_order_has_each_clip_once(filled: Path, wrong: list[str]) -> None:
    with pytest.raises(ClipError, match="each clip that is in the folder, once"):
        folder_ops.reorder(filled, wrong)


def test_whoever_hangs_while_changing_it_is_not_waited_for(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_ops, "LOCKED_S", 0.05)
    fd = os.open(filled, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(ClipError, match="is being changed by somebody else"):
            folder_ops.remove(filled, "01-b.wav")
    finally:
        os.close(fd)
    folder_ops.remove(filled, "01-b.wav")
    assert order(filled) == "ACD"


def test_a_name_that_is_too_long_for_a_number(folder: Path) -> None:
    for name in ("a" * 255, "b"):
        (folder / name).touch()
    with pytest.raises(ClipError, match="has no room for a number"):
        folder_ops.reorder(folder, ["b", "a" * 255])
    assert names(folder) == ["a" * 255, "b"]


def test_the_last_clip_stays(folder: Path) -> None:
    (folder / "a.wav").touch()
    with pytest.raises(ClipError, match=r"a\.wav: is the only clip"):
        folder_ops.remove(folder, "a.wav")


def test_what_is_no_clip_is_not_touched(filled: Path) -> None:
    for name in (*BESIDE, "nowhere.wav", "../secret"):
        with pytest.raises(NoSuchClip):
            folder_ops.remove(filled, name)
        with pytest.raises(NoSuchClip):
            folder_ops.replace(filled, name, b"N")


def test_a_clip_with_the_name_of_another_format(filled: Path) -> None:
    (filled / "01-b.opus").write_text("E")
    with pytest.raises(ClipError, match=r"01-b\.opus: exists already"):
        folder_ops.replace(filled, "01-b.wav", b"N")
    assert order(filled) == "AEBCD"


@pytest.mark.parametrize("damage", ["", "[]", '{"renames": 3, "removes": []}'])
def test_a_damaged_plan_is_named(filled: Path, damage: str) -> None:
    (filled / PLAN).write_text(damage)
    with pytest.raises(ClipError, match=rf"{re.escape(PLAN)}: is damaged; delete it"):
        clip_files(filled)


titles = st.sampled_from(["a", "b", "note", "note 2", "7"])
stems = st.builds("{}{}{}".format, st.sampled_from(["", "1-", "02 ", "00-"]), titles, st.just(""))
files = st.lists(
    st.builds("{}{}".format, stems, st.sampled_from(["", ".wav"])), unique=True, min_size=1
)


@given(files)
def test_numbered_names_sort_and_are_free(given_names: list[str]) -> None:
    renames = numbered(given_names)
    after = [renames.get(name, name) for name in given_names]
    assert after == sorted(after)
    assert len(set(after)) == len(after)
    assert not set(renames.values()) & set(given_names)
    assert [Path(name).suffix for name in after] == [Path(name).suffix for name in given_names]
    assert numbered(after) == {}


@pytest.mark.parametrize(
    ("stem", "title"),
    [
        ("03-bell", "bell"),
        ("3 _ bell", "bell"),
        ("007-bell", "bell"),
        ("bell", "bell"),
        ("07", "07"),
        ("07-", "07-"),
        ("880-hertz", "880-hertz"),
    ],
)
def test_titles(stem: str, title: str) -> None:
    assert title_of(stem) == title


def test_many_clips_have_longer_numbers() -> None:
    names = [f"{number}-a.wav" for number in range(1000, 1200)]
    after = [numbered(names)[name] for name in names]
    assert after[:2] == ["000-1000-a.wav", "001-1001-a.wav"]
    assert numbered(after) == {}
    backwards = numbered(after[::-1])
    assert backwards["199-1199-a.wav"] == "000-1199-a.wav"
