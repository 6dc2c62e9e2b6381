"""The cache stays below its bound: entries that were not used for longest go first."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from clip_sounds import chirp, write_sound
from repository_kit import body, sound

from audio_server.clips import cache as caches
from audio_server.clips.cache import FORMAT, PART_MAX_S, Cache
from audio_server.clips.loader import load_files
from audio_server.clips.repository import Repository, open_repository

SIZE = 1000
"""Of each entry, with its digest."""


def key(number: int, version: int = FORMAT) -> str:
    return f"{number:064x}-{version}"


def fill(folder: Path, count: int, version: int = FORMAT) -> None:
    """Entries that were used one after the other, an hour ago."""
    for number in range(count):
        name = f"{key(number, version)}.clip"
        Cache(folder).write(name, bytes(SIZE - 32))
        os.utime(folder / name, (1e9 + number, 1e9 + number))


def left(folder: Path) -> set[int]:
    return {int(path.name.partition("-")[0], 16) for path in folder.iterdir()}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_the_oldest_go_first(cache: Path) -> None:
    fill(cache, 10)
    Cache(cache, 4 * SIZE).trim([])
    assert left(cache) == {6, 7, 8, 9}
    Cache(cache, 4 * SIZE).trim([])
    assert left(cache) == {6, 7, 8, 9}


def test_to_read_an_entry_is_to_use_it(cache: Path) -> None:
    fill(cache, 10)
    assert Cache(cache).read(f"{key(2)}.clip") == bytes(SIZE - 32)
    Cache(cache, 4 * SIZE).trim([])
    assert left(cache) == {2, 7, 8, 9}


def test_what_is_in_use_stays_even_if_it_does_not_fit(cache: Path) -> None:
    fill(cache, 10)
    Cache(cache, 2 * SIZE).trim([key(0), key(1), key(2)])
    assert left(cache) == {0, 1, 2}


def test_entries_of_other_versions_go_as_well(cache: Path) -> None:
    fill(cache, 3, version=1)
    Cache(cache, SIZE).trim([key(0)])
    assert left(cache) == {2}


def test_what_cannot_be_deleted_is_no_obstacle(cache: Path, caplog) -> None:
    fill(cache, 4)
    (cache / f"{key(7)}.clip").mkdir()
    os.utime(cache / f"{key(7)}.clip", (1e8, 1e8))
    Cache(cache, 2 * SIZE).trim([])
    assert left(cache) == {2, 3, 7}
    assert not caplog.records


def test_without_a_bound_nothing_is_deleted(cache: Path) -> None:
    fill(cache, 10)
    Cache(cache).trim([])
    assert len(left(cache)) == 10


def test_other_files_are_not_the_caches(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    (tmp_path / "mine").write_bytes(bytes(SIZE))
    others = ("notes.txt", "song.clip", ".hidden", f"{key(1)}.wav")
    for name in others:
        (cache / name).write_bytes(bytes(SIZE))
    (cache / f"{key(2)}.clip").symlink_to(tmp_path / "mine")
    Cache(cache, 1).trim([])
    assert {path.name for path in cache.iterdir()} == set(others)
    assert (tmp_path / "mine").exists()


def test_what_a_killed_writer_left_is_deleted(cache: Path) -> None:
    fill(cache, 1)
    for name, age_s in ((f".{1:032x}.part", PART_MAX_S + 60), (f".{2:032x}.part", 0)):
        (cache / name).touch()
        used_at = (cache / name).stat().st_mtime - age_s
        os.utime(cache / name, (used_at, used_at))
    Cache(cache, 10 * SIZE).trim([])
    assert {path.name for path in cache.iterdir()} == {f".{2:032x}.part", f"{key(0)}.clip"}


def test_the_folder_is_looked_through_only_when_it_has_grown(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache, 3)
    bounded = Cache(cache, 10 * SIZE)
    bounded.trim([])
    with monkeypatch.context() as patch:
        patch.setattr(caches, "_trim", None)
        bounded.trim([])
    fill(cache, 20)
    bounded.write(f"{key(99)}.clip", bytes(SIZE - 32))
    bounded.trim([])
    assert len(left(cache)) == 10


def refuse(code: int) -> Callable[..., None]:
    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return refused


def test_a_folder_that_cannot_be_changed_is_one_warning(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(cache, 3)
    bounded = Cache(cache, SIZE)
    monkeypatch.setattr(os, "unlink", refuse(errno.EROFS))
    for number in range(3):
        bounded.write(f"{key(number)}.peaks", b"")
        bounded.trim([])
    (record,) = caplog.records
    assert "old clips cannot be deleted here (Read-only file system)" in record.getMessage()


def test_times_that_cannot_be_set_are_no_failure(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(cache, 1)
    monkeypatch.setattr(os, "utime", refuse(errno.EPERM))
    assert Cache(cache).read(f"{key(0)}.clip") is not None
    assert caplog.records == []


def test_no_folder_is_no_failure(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    Cache(cache, SIZE).trim([])
    assert caplog.records == []


async def test_many_at_once(cache: Path) -> None:
    """Each deletes what the others are reading and writing."""

    def use(start: int) -> None:
        shared = Cache(cache, 3 * SIZE)
        for number in range(start, start + 30):
            shared.write(f"{key(number % 10)}.clip", bytes(SIZE - 32))
            assert shared.read(f"{key(number % 7)}.clip") in (None, bytes(SIZE - 32))
            shared.trim([key(number % 10)])

    async with trio.open_nursery() as nursery:
        for start in range(4):
            nursery.start_soon(trio.to_thread.run_sync, use, start)
    Cache(cache, 3 * SIZE).trim([])
    assert len(left(cache)) == 3


# -- a server's


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def make_old(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (0, 0))


def keys_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


async def test_a_server_keeps_the_entries_of_its_clips(folder: Path, cache: Path) -> None:
    fill(cache, 1200)
    for number in range(3):
        write_sound(folder / f"0{number}-x.wav", chirp(48_000, 0.1 * (number + 1)))
    repository: Repository = await open_repository(folder, cache, cache_mib=1)
    keys = {loaded.key for loaded in repository._shown.loaded}
    assert keys <= keys_in(cache)
    assert size(cache) <= 1 << 20
    fill(cache, 1200)
    await repository.upload("new.opus", body(sound(3)))
    await repository.peaks("new", 10)
    keys = {loaded.key for loaded in repository._shown.loaded}
    assert keys <= keys_in(cache)
    assert size(cache) <= 1 << 20


async def test_a_server_keeps_the_entries_of_its_groups(folder: Path, cache: Path) -> None:
    """Each folder of clips trims the cache, which all of them share."""
    other = folder.parent / "lobby"
    other.mkdir()
    for at, seconds in ((folder, 0.1), (other, 0.2)):
        write_sound(at / "00-x.wav", chirp(48_000, seconds))
    repository = await open_repository(folder, cache, cache_mib=1)
    lobby = await load_files(other, cache=repository.cache)
    repository.share(lambda: lobby)
    make_old(cache)
    fill(cache, 1200)
    await repository.peaks("x", 10)
    keys = {loaded.key for loaded in (*lobby, *repository.loaded)}
    assert keys <= keys_in(cache)
    assert size(cache) <= 1 << 20
