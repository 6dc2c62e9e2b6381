"""Thousands of clips are put in another order at once, and hold up nobody meanwhile."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from repository_kit import body, sound

from audio_server.clips import clip_reader, folder_ops
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import clip_files
from audio_server.clips.naming import Finder, titles_of
from audio_server.clips.repository import Repository

CLIPS = 2000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the disk is asked for what takes long."""
    counts: Counter[str] = Counter()

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            counts[name] += 1
            return real(*args, **kwargs)

        return call

    for name in ("fsync", "rename", "open"):
        monkeypatch.setattr(os, name, counted(name))
    return counts


@pytest.fixture
def many(folder: Path) -> Path:
    for number in range(CLIPS):
        (folder / f"{number:04}-c{number}.opus").write_text(str(number))
    return folder


def test_an_order_costs_a_rename_for_each_file_and_few_flushes(
    many: Path, calls: Counter[str]
) -> None:
    files = [file.name for file in clip_files(many)]
    folder_ops.reorder(many, files[::-1])
    after = [file.name for file in clip_files(many)]
    assert titles_of(after) == titles_of(files)[::-1]
    assert calls["rename"] == CLIPS + 1
    assert calls["fsync"] <= 4
    assert calls["open"] < 20


def test_only_what_changes_is_renamed(many: Path, calls: Counter[str]) -> None:
    folder_ops.reorder(many, [file.name for file in clip_files(many)])
    assert not calls["rename"]
    files = [file.name for file in clip_files(many)]
    folder_ops.reorder(many, [files[1], files[0], *files[2:]])
    files = [file.name for file in clip_files(many)]
    calls.clear()
    folder_ops.reorder(many, [*files[:-2], files[-1], files[-2]])
    assert calls["rename"] == 2 + 1


async def test_an_order_of_other_length_is_refused_unseen(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finder, "find", None)
    for names in (["02-note"] * 10_000, ["02-note"], []):
        with pytest.raises(ClipError, match="an order has each clip that is in the folder, once"):
            await repository.reorder(names)


async def test_names_of_an_order_are_looked_up_off_the_loop(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Finder.find
    threads = set()

    def find(self: Finder, name: str) -> str:
        threads.add(threading.current_thread())
        return real(self, name)

    monkeypatch.setattr(Finder, "find", find)
    await repository.reorder(["note", "home", "bell"])
    assert threading.current_thread() not in threads


async def test_files_that_have_not_changed_are_not_read_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_reader, "SETTLED_NS", -(10**15))
    await repository.reload()
    with monkeypatch.context() as patch:
        patch.setattr(clip_reader, "content_key", None)
        await repository.reload()
    (repository.folder / "01-bell.opus").write_bytes(sound(6))
    await repository.upload("new.opus", body(sound(2)))
    assert [clip.packets for clip in repository.clips] == [3, 6, 7, 2]


async def test_a_file_that_was_just_written_is_read_again(repository: Repository) -> None:
    """It may be written once more with the same times."""
    path = repository.folder / "01-bell.opus"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    other = bytearray(sound(5))
    comment = other.index(b"OpusTags")
    path.write_bytes(bytes(other))
    os.utime(path, ns=times)
    await repository.reload()
    before = repository._shown.loaded[1]
    assert before.identity is None
    other[comment + 12] ^= 1
    path.write_bytes(bytes(other))
    os.utime(path, ns=times)
    with pytest.raises(ClipError, match="01-bell"):
        await repository.reload()
