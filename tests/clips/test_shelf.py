"""The clips of a server that runs: listed, added, replaced, moved, removed, and never half."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

import pytest
import structlog.testing
import trio
from clip_folder import SOUND, names
from clip_sounds import write_sound
from trio.testing import wait_all_tasks_blocked

from audio_server.clips import upload
from audio_server.clips.clip import Clip
from audio_server.clips.convert import opus_bytes
from audio_server.clips.errors import ClipError, ClipsFixed, ClipTooLarge, NoSuchClip
from audio_server.clips.library import load_clips
from audio_server.clips.shelf import Shelf, open_shelf
from audio_server.wire.audio import SILENCE

FILES = {"00-home.opus": 3, "01-bell.opus": 5, "02-note.opus": 7}


def sound(packets: int) -> bytes:
    return opus_bytes([SILENCE] * packets)


async def body(data: bytes, piece: int = 100) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


class Players:
    """Whoever plays clips, and is told of them."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    async def use(self, clips: Sequence[Clip]) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append([f"{clip.name} {clip.packets}" for clip in clips])


@pytest.fixture
def players() -> Players:
    return Players()


@pytest.fixture
async def shelf(folder: Path, players: Players) -> Shelf:
    for name, packets in FILES.items():
        (folder / name).write_bytes(sound(packets))
    shelf = await open_shelf(folder, folder.parent / "cache", max_upload_mib=1)
    shelf.used_by(players.use)
    return shelf


async def test_what_is_listed(shelf: Shelf) -> None:
    assert [entry.title for entry in shelf.entries] == ["home", "bell", "note"]
    assert shelf.entries[1].facts() == {
        "mode": 1,
        "file": "01-bell.opus",
        "name": "01-bell",
        "title": "bell",
        "seconds": 0.1,
        "bit_rate_bps": 1200,
        "source": {"codec": "opus", "rate_hz": 48_000, "channels": 1, "passed_through": True},
    }
    assert shelf.fixed_because is None


async def test_a_clip_is_found_by_file_name_or_title(shelf: Shelf, folder: Path) -> None:
    for name in ("01-bell.opus", "01-bell", "bell"):
        assert shelf.find(name).mode == 1
    (folder / "05-bell.opus").write_bytes(sound(1))
    (folder / "02-note.wav").write_bytes(sound(1))
    await shelf.reload()
    assert shelf.find("05-bell").mode == 4
    for name, reason in (("bell", "is one of several"), ("02-note", "02-note.opus, 02-note.wav")):
        with pytest.raises(ClipError, match=reason):
            shelf.find(name)
    with pytest.raises(NoSuchClip, match=r"^bel: there is no such clip$"):
        shelf.find("bel")


async def test_an_upload_is_the_next_mode(shelf: Shelf, players: Players, tmp_path: Path) -> None:
    source = write_sound(tmp_path / "7 ding.flac", SOUND, codec="flac")
    version = shelf.version.value
    entry = await shelf.upload("7 ding.flac", body(source.read_bytes()))
    assert (entry.mode, entry.file) == (3, "03-ding.opus")
    assert players.told == [["00-home 3", "01-bell 5", "02-note 7", "03-ding 51"]]
    assert shelf.version.value == version + 1
    assert names(shelf.folder) == [*FILES, "03-ding.opus"]


async def test_a_clip_is_replaced(shelf: Shelf, players: Players) -> None:
    entry = await shelf.replace("bell", body(sound(9)))
    assert entry == shelf.entries[1]
    assert players.told == [["00-home 3", "01-bell 9", "02-note 7"]]


async def test_a_clip_of_another_format_is_replaced(shelf: Shelf, tmp_path: Path) -> None:
    write_sound(shelf.folder / "01-ring.wav", SOUND)
    await shelf.reload()
    entry = await shelf.replace("ring", body(sound(9)))
    assert (entry.mode, entry.file, entry.seconds) == (2, "01-ring.opus", 0.18)
    assert "01-ring.wav" not in names(shelf.folder)


async def test_a_clip_is_removed_but_not_the_last(shelf: Shelf, players: Players) -> None:
    await shelf.remove("home")
    await shelf.remove("bell")
    assert players.told == [["01-bell 5", "02-note 7"], ["02-note 7"]]
    with pytest.raises(ClipError, match="one has to stay"):
        await shelf.remove("note")
    assert names(shelf.folder) == ["02-note.opus"]


async def test_another_order(shelf: Shelf, players: Players) -> None:
    await shelf.reorder(["note", "00-home", "01-bell.opus"])
    assert players.told == [["00-note 7", "01-home 3", "02-bell 5"]]
    for wrong, reason in ((["note", "home"], "each clip"), (["note"] * 3, "each clip")):
        with pytest.raises(ClipError, match=reason):
            await shelf.reorder(wrong)
    with pytest.raises(NoSuchClip):
        await shelf.reorder(["note", "home", "ring"])
    assert len(players.told) == 1


async def test_what_has_not_changed_is_the_same_clip(shelf: Shelf) -> None:
    before = list(shelf.clips)
    (shelf.folder / "01-bell.opus").write_bytes(sound(6))
    await shelf.reload()
    assert [new is old for new, old in zip(shelf.clips, before, strict=True)] == [True, False, True]


TOO_LARGE = bytes((1 << 20) + 1)


async def test_another_name_copies_no_sound(shelf: Shelf) -> None:
    before = list(shelf.clips)
    await shelf.reorder(["note", "bell", "home"])
    assert [clip.name for clip in shelf.clips] == ["00-note", "01-bell", "02-home"]
    assert all(new.frames is old.frames for new, old in zip(shelf.clips, before[::-1], strict=True))
    assert shelf.clips[1] is before[1]


BAD = "cannot be read as sound"
Act = Callable[[Shelf], Awaitable[object]]


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        (lambda s: s.upload("a.wav", body(b"no sound" * 99)), ClipError, f"^a.wav: {BAD}"),
        (lambda s: s.replace("bell", body(b"no sound" * 99)), ClipError, f"^bell: {BAD}"),
        (lambda s: s.upload("a.wav", body(b"")), ClipError, "^a.wav: is empty"),
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
    shelf: Shelf,
    players: Players,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "_PACKETS_MAX", 20)
    with pytest.raises(kind, match=reason) as refused:
        await act(shelf)
    assert type(refused.value) is kind
    assert "\n" not in str(refused.value)
    assert names(shelf.folder) == list(FILES)
    assert players.told == []


async def test_a_bad_file_that_was_put_there_by_hand(shelf: Shelf, players: Players) -> None:
    """It is named, and nothing changes; but whatever is put right may be put right here."""
    (shelf.folder / "01-bell.opus").write_bytes(b"no sound")
    there = names(shelf.folder)
    before = shelf.entries
    for act in (
        shelf.reload(),
        shelf.upload("a.wav", body(sound(1))),
        shelf.remove("home"),
        shelf.reorder(["note", "home", "bell"]),
    ):
        with pytest.raises(ClipError, match=f"^{shelf.folder}/01-bell.opus: {BAD}"):
            await act
    assert (names(shelf.folder), shelf.entries, players.told) == (there, before, [])
    await shelf.replace("bell", body(sound(2)))
    assert players.told == [["00-home 3", "01-bell 2", "02-note 7"]]


async def test_whoever_cannot_be_told_finds_it_in_the_log(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with structlog.testing.capture_logs() as logs:
        await shelf.reload_and_tell()
        (shelf.folder / "01-bell.opus").unlink()
        (shelf.folder / "01-bell.wav").touch()
        await shelf.reload_and_tell()
        monkeypatch.setattr("audio_server.clips.shelf.load_files", None)
        await shelf.reload_and_tell()
    said = [(line["event"], line.get("clips"), line.get("reason")) for line in logs]
    assert said == [
        ("clips reloaded", 3, None),
        ("clips not reloaded", None, f"{shelf.folder}/01-bell.wav: is empty"),
        ("clips not reloaded", None, None),
    ]


async def test_a_folder_that_is_no_more(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    await shelf.reload()
    relative = Shelf(Path("clips"), tmp_path, [])
    await relative.look()
    assert relative.fixed_because == "cannot be found (No such file or directory)"
    for name in names(shelf.folder):
        (shelf.folder / name).unlink()
    shelf.folder.rmdir()
    with pytest.raises(ClipError, match="no folder of clips"):
        await shelf.reload()


async def test_one_after_the_other(shelf: Shelf, players: Players) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(6):  # more than may come at the same time
            nursery.start_soon(shelf.upload, f"{number}-n{number}.opus", body(sound(number + 1)))
        nursery.start_soon(shelf.reload)
        nursery.start_soon(shelf.remove, "bell")
    assert len(shelf.entries) == 8
    assert players.told[-1] == [f"{clip.name} {clip.packets}" for clip in shelf.clips]
    clips = await load_clips(shelf.folder, cache=shelf.folder.parent / "cache")
    assert clips == shelf.clips


async def test_a_disk_that_fills_up_meanwhile(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr(upload, "_open", lambda _: full.open("w+b"))
    for data in (sound(1), TOO_LARGE[1:]):
        async with aclosing(body(data, 1 << 19)) as parts:
            with pytest.raises(ClipError, match=r"^a\.wav: .*No space left on device"):
                await shelf.upload("a.wav", parts)


async def test_a_file_that_is_called_by_bytes_that_are_no_text(shelf: Shelf) -> None:
    (shelf.folder / "02-note.opus").rename(shelf.folder / os.fsdecode(b"02-n\xff.opus"))
    await shelf.reload()
    assert [entry.file for entry in shelf.entries][2] == "02-n?.opus"
    assert (await shelf.replace("02-n?.opus", body(sound(8)))).seconds == 0.16
    await shelf.reorder(["n?", "home", "bell"])
    assert names(shelf.folder)[0] == os.fsdecode(b"00-n\xff.opus")
    (shelf.folder / os.fsdecode(b"00-n\xff.opus")).write_bytes(b"no sound")
    with pytest.raises(ClipError, match=r"/00-n\?.opus: cannot be read as sound"):
        await shelf.reload()
    await shelf.remove("n?")
    assert names(shelf.folder) == ["01-home.opus", "02-bell.opus"]


async def test_nothing_is_left_of_an_upload_that_is_cancelled(shelf: Shelf) -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"RIFF"
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shelf.upload, "a.wav", endless())
        await wait_all_tasks_blocked(0.01)
        assert names(shelf.folder) == list(FILES)
        nursery.cancel_scope.cancel()
    assert names(shelf.folder) == list(FILES)


async def test_a_folder_that_is_not_ours_to_change(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != shelf.folder and access(path, mode)
    )
    await shelf.reload()
    assert shelf.fixed_because == "cannot be written to"
    for act in (
        shelf.upload("a.wav", body(sound(1))),
        shelf.replace("bell", body(sound(1))),
        shelf.remove("bell"),
        shelf.reorder([*FILES]),
    ):
        with pytest.raises(ClipsFixed, match=f"^{shelf.folder}: cannot be written to$"):
            await act
    assert names(shelf.folder) == list(FILES)


async def test_the_clips_that_come_with_the_server_stay_as_they_are(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("audio_server.clips.folder.default_clips", shelf.folder.resolve)
    with pytest.raises(ClipsFixed, match="come with the server"):
        await shelf.remove("bell")
    monkeypatch.chdir(tmp_path)  # a checkout, and it is ./clips there
    await shelf.remove("bell")


async def test_a_disk_without_room_for_an_upload(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> BinaryIO:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upload, "_open", full)
    with pytest.raises(ClipError, match=r"/clips: cannot be written to \(No space left on device"):
        await shelf.upload("a.wav", body(sound(1)))


async def test_a_waveform(shelf: Shelf) -> None:
    assert await shelf.peaks("bell", 7) == [0.0] * 7


async def test_sound_is_what_devices_get(shelf: Shelf, folder: Path) -> None:
    assert await shelf.sound("bell") == (folder / "01-bell.opus").read_bytes()
