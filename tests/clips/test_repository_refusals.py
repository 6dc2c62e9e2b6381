"""What is wrong with a change of clips, or with their folder, is named, and nothing changes."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

import pytest
import structlog.testing
import trio
from clip_folder import names
from repository_kit import FILES, Players, body, sound
from trio.testing import wait_all_tasks_blocked

from audio_server.clips import spool, upload
from audio_server.clips.errors import ClipError, ClipsFixed, ClipTooLarge, NoSuchClip, NotSound
from audio_server.clips.repository import Repository

TOO_LARGE = bytes((1 << 20) + 1)
BAD = "cannot be read as sound"
Act = Callable[[Repository], Awaitable[object]]


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        (lambda s: s.upload("a.wav", body(b"no sound" * 99)), NotSound, f"^a.wav: {BAD}"),
        (lambda s: s.replace("bell", body(b"no sound" * 99)), NotSound, f"^bell: {BAD}"),
        (lambda s: s.upload("a.wav", body(b"")), NotSound, "^a.wav: is empty"),
        (lambda s: s.upload("a\nb.wav", body(sound(1))), ClipError, "is no name for a file"),
        (lambda s: s.upload("", body(sound(1))), ClipError, "is no name for a file"),
        (lambda s: s.upload("x" * 250, body(sound(1))), ClipError, "File name too long"),
        (lambda s: s.upload("a.wav", body(sound(21))), ClipTooLarge, "^a.wav: is longer than"),
        (
            lambda s: s.upload("a.wav", body(TOO_LARGE, 1 << 20)),
            ClipTooLarge,
            "larger than 1 MiB",
        ),
        (lambda s: s.replace("ring", body(sound(1))), NoSuchClip, "^ring: there is no such clip"),
        (lambda s: s.remove("ring"), NoSuchClip, "^ring: there is no such clip"),
        (lambda s: s.peaks("ring", 9), NoSuchClip, "^ring: there is no such clip"),
        (lambda s: s.sound("ring"), NoSuchClip, "^ring: there is no such clip"),
    ],
)
async def test_what_is_bad_changes_nothing(
    act: Act,
    kind: type[ClipError],
    reason: str,
    repository: Repository,
    players: Players,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "_PACKETS_MAX", 20)
    with pytest.raises(kind, match=reason) as refused:
        await act(repository)
    assert type(refused.value) is kind
    assert "\n" not in str(refused.value)
    assert names(repository.folder) == list(FILES)
    assert players.told == []


async def test_a_bad_file_that_was_put_there_by_hand(
    repository: Repository, players: Players
) -> None:
    """It is named, and nothing changes; but whatever is put right may be put right here."""
    (repository.folder / "01-bell.opus").write_bytes(b"no sound")
    there = names(repository.folder)
    before = repository.entries
    for act in (
        repository.reload(),
        repository.upload("a.wav", body(sound(1))),
        repository.remove("home"),
        repository.reorder(["note", "home", "bell"]),
    ):
        with pytest.raises(ClipError, match=f"^{repository.folder}/01-bell.opus: {BAD}"):
            await act
    assert (names(repository.folder), repository.entries, players.told) == (there, before, [])
    await repository.replace("bell", body(sound(2)))
    assert players.told == [["00-home 3", "01-bell 2", "02-note 7"]]


async def test_whoever_cannot_be_told_finds_it_in_the_log(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with structlog.testing.capture_logs() as logs:
        await repository.reload_and_tell()
        (repository.folder / "01-bell.opus").unlink()
        (repository.folder / "01-bell.wav").touch()
        await repository.reload_and_tell()
        monkeypatch.setattr("audio_server.clips.repository.load_files", None)
        await repository.reload_and_tell()
    said = [(line["event"], line.get("clips"), line.get("reason")) for line in logs]
    assert said == [
        ("clips reloaded", 3, None),
        ("clips not reloaded", None, f"{repository.folder}/01-bell.wav: is empty"),
        ("clips not reloaded", None, None),
    ]


async def test_a_folder_that_is_no_more(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    await repository.reload()
    relative = Repository(Path("clips"), tmp_path, [])
    await relative.look()
    assert relative.fixed_because == "cannot be found (No such file or directory)"
    for name in names(repository.folder):
        (repository.folder / name).unlink()
    repository.folder.rmdir()
    with pytest.raises(ClipError, match="no folder of clips"):
        await repository.reload()


async def test_a_disk_that_fills_up_meanwhile(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr(spool, "TemporaryFile", lambda dir: full.open("w+b"))
    for data in (sound(1), TOO_LARGE[1:]):
        async with aclosing(body(data, 1 << 19)) as parts:
            with pytest.raises(ClipError, match=r"^a\.wav: .*No space left on device"):
                await repository.upload("a.wav", parts)


async def test_a_file_that_is_called_by_bytes_that_are_no_text(repository: Repository) -> None:
    (repository.folder / "02-note.opus").rename(repository.folder / os.fsdecode(b"02-n\xff.opus"))
    await repository.reload()
    assert [entry.file for entry in repository.entries][2] == "02-n?.opus"
    assert (await repository.replace("02-n?.opus", body(sound(8)))).seconds == 0.16
    await repository.reorder(["n?", "home", "bell"])
    assert names(repository.folder)[0] == os.fsdecode(b"00-n\xff.opus")
    (repository.folder / os.fsdecode(b"00-n\xff.opus")).write_bytes(b"no sound")
    with pytest.raises(ClipError, match=r"/00-n\?.opus: cannot be read as sound"):
        await repository.reload()
    await repository.remove("n?")
    assert names(repository.folder) == ["01-home.opus", "02-bell.opus"]


async def test_nothing_is_left_of_an_upload_that_is_cancelled(repository: Repository) -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"RIFF"
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(repository.upload, "a.wav", endless())
        await wait_all_tasks_blocked(0.01)
        assert names(repository.folder) == list(FILES)
        nursery.cancel_scope.cancel()
    assert names(repository.folder) == list(FILES)


async def test_a_folder_that_is_not_ours_to_change(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != repository.folder and access(path, mode)
    )
    await repository.reload()
    assert repository.fixed_because == "cannot be written to"
    for act in (
        repository.upload("a.wav", body(sound(1))),
        repository.replace("bell", body(sound(1))),
        repository.remove("bell"),
        repository.reorder([*FILES]),
    ):
        with pytest.raises(ClipsFixed, match=f"^{repository.folder}: cannot be written to$"):
            await act
    assert names(repository.folder) == list(FILES)


async def test_the_clips_that_come_with_the_server_stay_as_they_are(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("audio_server.clips.folder.default_clips", repository.folder.resolve)
    with pytest.raises(ClipsFixed, match="come with the server"):
        await repository.remove("bell")
    monkeypatch.chdir(tmp_path)  # a checkout's are no other
    with pytest.raises(ClipsFixed, match="come with the server"):
        await repository.remove("bell")


async def test_a_disk_without_room_for_an_upload(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(dir: Path) -> BinaryIO:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "TemporaryFile", full)
    with pytest.raises(ClipError, match=r"/clips: cannot be written to \(No space left on device"):
        await repository.upload("a.wav", body(sound(1)))
