"""A folder is the configuration: which files are clips, in which order, and how they load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clip_sounds import chirp, write_sound

from audio_server.clips import folder
from audio_server.clips.folder import ClipFile, clip_files, default_clips
from audio_server.clips.loader import load_clips, load_files
from audio_server.clips.suffixes import is_clip_name


@pytest.mark.parametrize(
    "name", ["a.wav", "a.MP3", "a.opus", "a.mkv", "a", "a.unknown", "readme.wav", "a.b.c.flac"]
)
def test_meant_as_a_clip(name: str) -> None:
    assert is_clip_name(name)


NO_CLIPS = (".hidden.wav", "a.wav~", "README", "README.md", "LICENSE", "notes.TXT", "make.py")
BESIDE_CLIPS = ("cover.jpg", "list.m3u", "a.wav.part", "a.cue")


@pytest.mark.parametrize("name", NO_CLIPS + BESIDE_CLIPS)
def test_not_meant_as_a_clip(name: str) -> None:
    assert not is_clip_name(name)


def test_a_clip_is_called_by_text_whatever_bytes_its_file_is_called_by() -> None:
    file = ClipFile(os.fsdecode(b"0-b\xffd.wav"), Path("there"))
    assert file.stem == "0-b?d"


def test_order_is_that_of_the_characters(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav", "10.wav", "2.wav", "02.wav", "B.wav"):
        (tmp_path / name).touch()
    names = [path.name for path in clip_files(tmp_path)]
    assert names == ["02.wav", "10.wav", "2.wav", "B.wav", "a.wav", "b.wav"]


def test_only_files_and_links_to_files_count(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").symlink_to("a.wav")
    (tmp_path / "c.wav").mkdir()
    os.mkfifo(tmp_path / "d.wav")
    assert [path.name for path in clip_files(tmp_path)] == ["a.wav", "b.wav"]


def test_shipped_clips_are_found_in_a_checkout_and_in_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "audio_server" / "clips" / "folder.py"
    monkeypatch.setattr(folder, "__file__", str(module))
    assert default_clips() == tmp_path / "clips"
    (tmp_path / "audio_server" / "_clips").mkdir(parents=True)
    assert default_clips() == tmp_path / "audio_server" / "_clips"


async def test_index_is_the_mode(tmp_path: Path) -> None:
    """Whatever takes longest, the order is that of the names."""
    for name, length_s in (("0-long", 2.0), ("1-short", 0.1), ("2-middle", 0.7)):
        write_sound(tmp_path / f"{name}.wav", chirp(8_000, length_s), rate_hz=8_000)
    clips = await load_clips(tmp_path, cache=tmp_path / ".cache")
    assert [clip.name for clip in clips] == ["0-long", "1-short", "2-middle"]
    assert [round(clip.duration_s, 1) for clip in clips] == [2.0, 0.1, 0.7]


async def test_progress_counts_files(tmp_path: Path) -> None:
    for name in "abc":
        write_sound(tmp_path / f"{name}.wav", chirp(8_000, 0.1), rate_hz=8_000)
    seen: list[tuple[int, int]] = []
    await load_clips(tmp_path, cache=tmp_path / ".cache", progress=lambda *at: seen.append(at))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("processes", [1, 2, 5])
async def test_files_are_shared_by_processes(tmp_path: Path, processes: int) -> None:
    for index in range(5):
        write_sound(tmp_path / f"{index}.wav", chirp(8_000, 0.1 + index / 10), rate_hz=8_000)
    loaded = await load_files(tmp_path, cache=tmp_path / ".cache", processes=processes)
    assert [one.file for one in loaded] == [f"{index}.wav" for index in range(5)]
    assert [round(one.clip.duration_s, 1) for one in loaded] == [0.1, 0.2, 0.3, 0.4, 0.5]
