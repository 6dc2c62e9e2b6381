"""The clips of a server that runs: listed, added, replaced, moved, removed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from clip_folder import SOUND, names
from clip_sounds import write_sound
from repository_kit import FILES, Players, body, sound

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.loader import load_clips
from audio_server.clips.repository import Repository


async def test_what_is_listed(repository: Repository) -> None:
    assert [entry.title for entry in repository.entries] == ["home", "bell", "note"]
    assert msgspec.to_builtins(repository.entries[1]) == {
        "mode": 1,
        "file": "01-bell.opus",
        "name": "01-bell",
        "title": "bell",
        "seconds": 0.1,
        "bit_rate_bps": 1200,
        "source": {"codec": "opus", "rate_hz": 48_000, "channels": 1, "passed_through": True},
    }
    assert repository.fixed_because is None


async def test_a_clip_is_found_by_file_name_or_title(repository: Repository, folder: Path) -> None:
    for name in ("01-bell.opus", "01-bell", "bell"):
        assert repository.find(name).mode == 1
    (folder / "05-bell.opus").write_bytes(sound(1))
    (folder / "02-note.wav").write_bytes(sound(1))
    await repository.reload()
    assert repository.find("05-bell").mode == 4
    for name, reason in (("bell", "is one of several"), ("02-note", "02-note.opus, 02-note.wav")):
        with pytest.raises(ClipError, match=reason):
            repository.find(name)
    with pytest.raises(NoSuchClip, match=r"^bel: there is no such clip$"):
        repository.find("bel")


async def test_an_upload_is_the_next_mode(
    repository: Repository, players: Players, tmp_path: Path
) -> None:
    source = write_sound(tmp_path / "07 ding.flac", SOUND, codec="flac")
    version = repository.version.value
    entry = await repository.upload("07 ding.flac", body(source.read_bytes()))
    assert (entry.mode, entry.file) == (3, "03-ding.opus")
    assert players.told == [["00-home 3", "01-bell 5", "02-note 7", "03-ding 51"]]
    assert repository.version.value == version + 1
    assert names(repository.folder) == [*FILES, "03-ding.opus"]


async def test_a_clip_is_replaced(repository: Repository, players: Players) -> None:
    entry = await repository.replace("bell", body(sound(9)))
    assert entry == repository.entries[1]
    assert players.told == [["00-home 3", "01-bell 9", "02-note 7"]]


async def test_a_clip_of_another_format_is_replaced(repository: Repository, tmp_path: Path) -> None:
    write_sound(repository.folder / "01-ring.wav", SOUND)
    await repository.reload()
    entry = await repository.replace("ring", body(sound(9)))
    assert (entry.mode, entry.file, entry.seconds) == (2, "01-ring.opus", 0.18)
    assert "01-ring.wav" not in names(repository.folder)


async def test_a_clip_is_removed_but_not_the_last(repository: Repository, players: Players) -> None:
    await repository.remove("home")
    await repository.remove("bell")
    assert players.told == [["01-bell 5", "02-note 7"], ["02-note 7"]]
    with pytest.raises(ClipError, match="one has to stay"):
        await repository.remove("note")
    assert names(repository.folder) == ["02-note.opus"]


async def test_another_order(repository: Repository, players: Players) -> None:
    await repository.reorder(["note", "00-home", "01-bell.opus"])
    assert players.told == [["00-note 7", "01-home 3", "02-bell 5"]]
    for wrong, reason in ((["note", "home"], "each clip"), (["note"] * 3, "each clip")):
        with pytest.raises(ClipError, match=reason):
            await repository.reorder(wrong)
    with pytest.raises(NoSuchClip):
        await repository.reorder(["note", "home", "ring"])
    assert len(players.told) == 1


async def test_what_has_not_changed_is_the_same_clip(repository: Repository) -> None:
    before = list(repository.clips)
    (repository.folder / "01-bell.opus").write_bytes(sound(6))
    await repository.reload()
    assert [new is old for new, old in zip(repository.clips, before, strict=True)] == [
        True,
        False,
        True,
    ]


async def test_another_name_copies_no_sound(repository: Repository) -> None:
    before = list(repository.clips)
    await repository.reorder(["note", "bell", "home"])
    assert [clip.name for clip in repository.clips] == ["00-note", "01-bell", "02-home"]
    assert all(
        new.frames is old.frames for new, old in zip(repository.clips, before[::-1], strict=True)
    )
    assert repository.clips[1] is before[1]


async def test_one_after_the_other(repository: Repository, players: Players) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(6):  # more than may come at the same time
            nursery.start_soon(
                repository.upload, f"{number}-n{number}.opus", body(sound(number + 1))
            )
        nursery.start_soon(repository.reload)
        nursery.start_soon(repository.remove, "bell")
    assert len(repository.entries) == 8
    assert players.told[-1] == [f"{clip.name} {clip.packets}" for clip in repository.clips]
    clips = await load_clips(repository.folder, cache=repository.folder.parent / "cache")
    assert clips == repository.clips


async def test_a_waveform(repository: Repository) -> None:
    assert await repository.peaks("bell", 7) == [0.0] * 7


async def test_sound_is_what_devices_get(repository: Repository, folder: Path) -> None:
    assert await repository.sound("bell") == (folder / "01-bell.opus").read_bytes()
