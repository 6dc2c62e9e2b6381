"""Files beside clips that are no sound are left out, with one warning that names them."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from clip_folder import names
from clip_sounds import chirp, write_sound
from repository_kit import Players, body, sound

from audio_server.clips import folder_ops
from audio_server.clips.add import add_clip
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import look_into
from audio_server.clips.left_out import NAMES_MAX
from audio_server.clips.loader import find_left_out, load_clips
from audio_server.clips.repository import Repository, open_repository
from audio_server.clips.suffixes import Meant, is_downloading, meant_as

TONE = chirp(48_000, 0.1)

NAMES = {
    Meant.SOUND: (
        *("a.wav", "a.MP3", "a.opus", "a.mkv", "readme.wav", "a.b.c.flac", "old.wav", "1999.mp3"),
        *("a.webm", "a.m4a", "a.caf", "a.aifc", "temp.wav", "a.part 2.mp3"),
    ),
    Meant.UNKNOWN: (
        *("a", "a.unknown", "audio.zip", "Icon\r", "core", "cover.bmp", "song.sfk", "notes.odt"),
        *("playlist.wpl", "Vol. 2", "song.mp3.1", "Prelude in C#"),
    ),
    Meant.UNFINISHED: (
        *("song.mp3.crdownload", "Unconfirmed 7.crdownload", "song.mp3.part", "song.m4a.PART"),
        *("song.mp3.download", "song.mp3.partial", "song.mp3.opdownload", "song.mp3.!ut"),
        *("song.mp3.tmp", "song.mp3.!qB", "song.mp3.aria2", "song.mp3.ytdl", "song.temp.m4a"),
        *("song.f140.m4a.part", "song.mp4.part-Frag12", "song.mp3.filepart", "song.mp3.bc!"),
        *("name.wav.bak", "name.wav.old", "name.wav~", "#name.wav#", "name.wav.orig"),
    ),
    Meant.COMPANION: (
        *(".DS_Store", ".hidden.wav", "._song.mp3", "README", "README.md", "LICENSE", "notes.TXT"),
        *("cover.jpg", "list.m3u", "a.cue", "make.py", "Thumbs.db", "desktop.ini"),
    ),
}


@pytest.mark.parametrize(
    ("name", "meant"), [(name, meant) for meant, some in NAMES.items() for name in some]
)
def test_what_a_name_says(name: str, meant: Meant) -> None:
    assert meant_as(name) is meant


@pytest.mark.parametrize(
    ("name", "other", "is_empty", "is_half"),
    [
        ("song.mp3", "song.mp3.part", True, True),
        ("song.mp3", "song.Xy12ab-_.mp3.part", True, True),
        ("song.mp3", "song.mp3.aria2", False, True),
        ("song.mp3", "song.mp3.st", False, True),
        ("song.mp3", "song.mp3.part", False, False),
        ("song.mp3", "song.mp3", True, False),
        ("song.mp3", "song 2.mp3.part", True, False),
        ("song.mp3", "song.ogg.part", True, False),
    ],
)
def test_a_download_that_has_its_final_name(
    name: str, other: str, is_empty: bool, is_half: bool
) -> None:
    assert is_downloading(name, {name, other}, is_empty=is_empty) is is_half


def text(path: Path) -> None:
    path.write_text("Just a note.\n" * 50)


def half(path: Path) -> None:
    """The first half of good sound."""
    write_sound(path.with_name("whole.mp3"), TONE, container="mp3", codec="libmp3lame")
    data = path.with_name("whole.mp3").read_bytes()
    path.with_name("whole.mp3").unlink()
    path.write_bytes(data[: len(data) // 2])


def listen(path: Path) -> None:
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def beside_a_part(path: Path) -> None:
    path.touch()
    half(path.with_name(f"{path.name}.part"))


JUNK: dict[str, tuple[str, Callable[[Path], object]]] = {
    "macOS's icon": ("Icon\r", Path.touch),
    "half of good sound": ("02-song.mp3.crdownload", half),
    "whole sound by the name of half": (
        "song.wav.part",
        lambda path: write_sound(path, TONE, container="wav"),
    ),
    "a backup": ("00-home.wav.bak", lambda path: write_sound(path, TONE, container="wav")),
    "a picture": ("cover.bmp", lambda path: path.write_bytes(b"BM" + bytes(100))),
    "an archive": ("audio.zip", lambda path: path.write_bytes(b"PK\3\4" + bytes(range(256)) * 9)),
    "a core dump": ("core", lambda path: path.write_bytes(b"\x7fELF" + bytes(5000))),
    "text": ("00-notes", text),
    "a document": ("00-notes.odt", lambda path: path.write_bytes(b"PK\3\4")),
    "bytes that are no text": (os.fsdecode(b"00-\xff\x1b[31m"), text),
    "a pipe": ("05-pipe.wav", os.mkfifo),
    "a socket": ("00-sock.wav", listen),
    "a folder": ("00-album.wav", Path.mkdir),
    "a link to a device": ("00-zero.wav", lambda path: path.symlink_to("/dev/zero")),
    "a dangling link": ("00-gone", lambda path: path.symlink_to("nowhere")),
    "a link to itself": ("00-loop", lambda path: path.symlink_to(path)),
    "a download of Firefox": ("00-song.mp3", beside_a_part),
}


@pytest.fixture
def filled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips and a document."""
    monkeypatch.chdir(folder)
    write_sound(folder / "01-home.wav", TONE)
    write_sound(folder / "02-bell.wav", TONE)
    (folder / "README.md").touch()
    return folder


@pytest.mark.parametrize("what", JUNK)
async def test_it_is_left_out(
    what: str, filled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, make = JUNK[what]
    make(filled / name)
    clips = await load_clips(filled, cache=tmp_path / "cache")
    assert [clip.name for clip in clips] == ["01-home", "02-bell"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    shown = name.encode(errors="replace").decode().replace("\r", "\\r").replace("\x1b", "\\x1b")
    assert record.getMessage().startswith(f"{filled}: left out of the clips: ")
    assert f"{shown} (" in record.getMessage()
    assert record.getMessage().isprintable()


async def test_one_warning_names_some_of_many(
    filled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(NAMES_MAX + 5):
        (filled / f"song {number}.mp3.part").touch()
    await load_clips(filled, cache=tmp_path / "cache")
    (record,) = caplog.records
    assert record.getMessage().count(".mp3.part (") == NAMES_MAX
    assert record.getMessage().endswith(" and 5 more")


async def test_companions_are_no_news(
    filled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in NAMES[Meant.COMPANION]:
        (filled / name).touch()
    (filled / "folder").mkdir()
    assert len(await load_clips(filled, cache=tmp_path / "cache")) == 2
    assert caplog.records == []


async def test_sound_is_a_clip_whatever_it_is_called(filled: Path, tmp_path: Path) -> None:
    for name in ("03-plain", "04-odd.suffix"):
        write_sound(filled / name, TONE, container="wav")
    clips = await load_clips(filled, cache=tmp_path / "cache")
    assert [clip.name for clip in clips] == ["01-home", "02-bell", "03-plain", "04-odd"]


@pytest.mark.parametrize("name", ["03-song.mp3", "00-song.m4a", "03-song.WAV", "video.mkv"])
@pytest.mark.parametrize("content", [b"", b"Just a note.", b"\xff\xfb\x90"])
async def test_what_is_meant_as_sound_is_an_error(
    name: str, content: bytes, filled: Path, tmp_path: Path
) -> None:
    (filled / name).write_bytes(content)
    with pytest.raises(ClipError, match=f"^{filled / name}: "):
        await load_clips(filled, cache=tmp_path / "cache")


async def test_a_folder_of_junk_has_no_clips(folder: Path, tmp_path: Path) -> None:
    (folder / "core").write_bytes(b"\x7fELF")
    with pytest.raises(ClipError, match="has no clips in it"):
        await load_clips(folder, cache=tmp_path / "cache")


async def test_large_files_are_looked_into_only_if_they_are_meant_as_sound(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio_server.clips.clip_reader.UNSURE_MAX_BYTES", 1 << 20)
    (filled / "disk").touch()
    os.truncate(filled / "disk", 1 << 40)  # to read all of it would take for ever
    assert len(await load_clips(filled, cache=tmp_path / "cache")) == 2


# -- while it runs


@pytest.fixture
async def running(filled: Path, tmp_path: Path, players: Players) -> Repository:
    """Clips that are played, with junk beside them."""
    for name in ("00-core", "audio.zip", "01-notes"):
        text(filled / name)
    (filled / "song.mp3.part").touch()
    repository = await open_repository(filled, tmp_path / "cache")
    repository.used_by(players.use)
    return repository


JUNK_NAMES = ["00-core", "01-notes", "README.md", "audio.zip", "song.mp3.part"]


async def test_junk_stays_as_it_is_whatever_is_done_to_clips(
    running: Repository, players: Players, filled: Path
) -> None:
    await running.upload("new.opus", body(sound(3)))
    assert players.told[-1] == ["01-home 6", "02-bell 6", "03-new 3"]
    await running.reorder(["new", "bell", "home"])
    assert players.told[-1] == ["00-new 3", "01-bell 6", "02-home 6"]
    await running.replace("bell", body(sound(4)))
    await running.remove("home")
    await running.remove("new")
    with pytest.raises(ClipError, match="one has to stay"):
        await running.remove("bell")
    assert names(filled) == sorted(["01-bell.opus", *JUNK_NAMES])


async def test_it_is_warned_of_once(
    running: Repository, filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    await running.reload()
    await running.reload()
    await running.upload("new.opus", body(sound(3)))
    assert caplog.records == []
    text(filled / "core")
    await running.reload()
    await running.reload()
    (record,) = caplog.records
    assert ", core (is no clip)" in record.getMessage()


async def test_junk_is_read_once(
    running: Repository, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio_server.clips.decoder.Decoder.ingest", None)
    await running.reload()
    assert len(running.clips) == 2


async def test_half_a_download_moves_no_mode(running: Repository, filled: Path) -> None:
    before = running.entries
    half(filled / "00-first.mp3.crdownload")
    half(filled / "00-first.mp3.part")
    await running.reload()
    assert running.entries == before


async def test_a_damaged_clip_changes_nothing(running: Repository, filled: Path) -> None:
    before = running.entries
    (filled / "00-first.mp3").write_bytes(b"\xff\xfb\x90")
    with pytest.raises(ClipError, match=r"00-first\.mp3: "):
        await running.reload()
    assert running.entries == before


async def test_an_upload_is_sound_whatever_it_is_called(running: Repository) -> None:
    assert (await running.upload("a.unknown", body(sound(3)))).title == "a"
    assert (await running.upload("Vol. 2", body(sound(3)))).title == "Vol. 2"
    with pytest.raises(ClipError, match=r"^audio\.zip: "):
        await running.upload("audio.zip", body(b"PK\3\4"))
    for name in ("song.mp3.crdownload", "song.wav.bak", "song.temp.m4a", "song.mp3~"):
        with pytest.raises(ClipError, match=f"^{name}: is not complete by its name, or a backup"):
            await running.upload(name, body(sound(3)))


async def test_sound_that_is_too_long_is_left_out_unless_it_is_meant(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("audio_server.clips.decoder.MAX_PACKETS", 10)
    write_sound(filled / "audiobook", chirp(48_000, 1.0), container="wav")
    assert len(await load_clips(filled, cache=tmp_path / "cache")) == 2
    assert "audiobook (is longer than" in caplog.text
    (filled / "audiobook").rename(filled / "audiobook.wav")
    with pytest.raises(ClipError, match=r"audiobook\.wav: is longer than"):
        await load_clips(filled, cache=tmp_path / "cache")


async def test_to_look_for_sound_needs_no_place(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    write_sound(filled / "03-plain", TONE, container="wav")
    text(filled / "00-core")
    assert set(await find_left_out(filled)) == {"00-core"}


async def test_commands_agree(filled: Path, tmp_path: Path) -> None:
    for name in ("00-core", "audio.zip"):
        text(filled / name)
    source = write_sound(tmp_path / "new.wav", TONE)
    assert (await add_clip(source, filled)).name == "03-new.opus"
    assert set(await find_left_out(filled)) == {"00-core", "audio.zip"}
    half(tmp_path / "song.mp3.part")
    with pytest.raises(ClipError, match=r"song\.mp3\.part: is not complete by its name"):
        await add_clip(tmp_path / "song.mp3.part", filled)
    with pytest.raises(ClipError, match="is not complete by its name"):
        await add_clip(source, filled, name="song.temp")
    folder_ops.reorder(
        filled, ["03-new.opus", "02-bell.wav", "01-home.wav"], ["00-core", "audio.zip"]
    )
    files = [file.name for file in look_into(filled).files if file.is_sure]
    assert files == ["00-new.opus", "01-bell.wav", "02-home.wav"]
