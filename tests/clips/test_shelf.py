"""The clips of a server that runs: listed, added, replaced, moved, removed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from clip_folder import SOUND, names
from clip_sounds import write_sound
from shelf_kit import FILES, Players, body, sound

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.library import load_clips
from audio_server.clips.shelf import Shelf


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


async def test_another_name_copies_no_sound(shelf: Shelf) -> None:
    before = list(shelf.clips)
    await shelf.reorder(["note", "bell", "home"])
    assert [clip.name for clip in shelf.clips] == ["00-note", "01-bell", "02-home"]
    assert all(new.frames is old.frames for new, old in zip(shelf.clips, before[::-1], strict=True))
    assert shelf.clips[1] is before[1]


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


async def test_a_waveform(shelf: Shelf) -> None:
    assert await shelf.peaks("bell", 7) == [0.0] * 7


async def test_sound_is_what_devices_get(shelf: Shelf, folder: Path) -> None:
    assert await shelf.sound("bell") == (folder / "01-bell.opus").read_bytes()
