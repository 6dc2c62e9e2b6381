"""The user's own clips: the shipped ones to begin with, in the data folder, at the first change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from clip_folder import names
from repository_kit import body, sound

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.folder import clip_files, default_clips
from audio_server.clips.own_folder import make_own
from audio_server.clips.repository import Repository, open_repository
from audio_server.settings import Settings

SHIPPED = [file.name for file in clip_files(default_clips())]
Act = Callable[[Repository], Awaitable[object]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "state" / "data"


@pytest.fixture
async def repository(data: Path, tmp_path: Path) -> Repository:
    return await opened(data, tmp_path)


async def opened(data: Path, cache: Path) -> Repository:
    """The clips of a server that was told no folder."""
    settings = Settings(data=data, cache=cache)
    return await open_repository(settings.clips, settings.cache, own=settings.own_clips)


@pytest.mark.parametrize("place", ["checkout", "elsewhere"])
async def test_shipped_clips_are_shown_until_one_changes(
    place: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(default_clips().parent if place == "checkout" else tmp_path)
    repository = await opened(data, tmp_path)
    assert repository.folder == default_clips()
    assert repository.fixed_because is None
    assert not data.exists()  # noqa: ASYNC240
    await repository.upload("bell.wav", body(sound(3)))
    assert repository.folder == data / "clips"
    assert [entry.file for entry in repository.entries] == [*SHIPPED, "5-bell.opus"]
    assert [file.name for file in clip_files(default_clips())] == SHIPPED
    again = await opened(data, tmp_path)
    assert [entry.file for entry in again.entries] == [*SHIPPED, "5-bell.opus"]


@pytest.mark.parametrize(
    ("act", "left"),
    [
        (lambda s: s.remove(SHIPPED[0]), SHIPPED[1:]),
        (lambda s: s.replace(SHIPPED[1], body(sound(3))), SHIPPED),
        (lambda s: s.reorder(SHIPPED[::-1]), None),
    ],
)
async def test_each_change_is_one_of_the_users_own(
    act: Act, left: list[str] | None, repository: Repository, data: Path
) -> None:
    await act(repository)
    there = names(data / "clips")
    assert there == left or (left is None and len(there) == 5 and there != SHIPPED)
    assert names(data) == ["clips"]
    assert [file.name for file in clip_files(default_clips())] == SHIPPED


async def test_a_change_that_fails_shows_the_same_clips(repository: Repository) -> None:
    with pytest.raises(NoSuchClip):
        await repository.remove("ring")
    assert [entry.file for entry in repository.entries] == SHIPPED


async def test_clips_that_a_command_has_added_are_there_after_a_reload(
    repository: Repository, data: Path
) -> None:
    make_own(data / "clips")
    (data / "clips" / "9-bell.opus").write_bytes(sound(3))
    await repository.reload()
    assert [entry.file for entry in repository.entries] == [*SHIPPED, "9-bell.opus"]


async def test_two_that_make_it_at_once(data: Path) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(trio.to_thread.run_sync, make_own, data / "clips")
    assert names(data / "clips") == SHIPPED
    assert names(data) == ["clips"]


def test_an_empty_folder_gets_the_shipped_clips_and_one_with_clips_keeps_its_own(
    data: Path,
) -> None:
    own = data / "clips"
    own.mkdir(parents=True)
    make_own(own)
    assert names(own) == SHIPPED
    (own / SHIPPED[0]).unlink()
    make_own(own)
    assert names(own) == SHIPPED[1:]


async def test_a_data_folder_that_cannot_be_made(repository: Repository, data: Path) -> None:
    data.parent.write_text("a file in its place")
    with pytest.raises(ClipError, match=r"data/clips: cannot be made \(Not a directory\)"):
        await repository.upload("bell.wav", body(sound(3)))


@pytest.mark.parametrize("where", ["./clips", "a folder"])
def test_a_folder_that_the_user_has_named_has_no_stand_in(
    where: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips").mkdir()
    monkeypatch.chdir(tmp_path)
    clips = {} if where == "./clips" else {"clips": tmp_path / "clips"}
    settings = Settings(data=data, **clips)
    assert settings.clips.resolve() == tmp_path / "clips"
    assert settings.own_clips is None


def test_without_a_data_folder_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(default_clips().parent)
    settings = Settings(data=None)
    assert (settings.clips, settings.own_clips) == (default_clips(), None)
