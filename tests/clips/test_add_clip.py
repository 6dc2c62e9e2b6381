"""A new clip comes last, whole or not at all, and never in place of another."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest
from clip_folder import SOUND, check_sound, last_clip, names, pcm
from clip_sounds import write_sound

from audio_server.clips.add import add_clip
from audio_server.clips.errors import ClipError
from audio_server.clips.loader import load_clips
from audio_server.clips.naming import titles_of


async def test_file_is_made_into_what_is_passed_through(tmp_path: Path, folder: Path) -> None:
    source = write_sound(tmp_path / "beep.flac", SOUND, codec="flac")
    assert await add_clip(source, folder) == folder / "00-beep.opus"
    await check_sound(folder)
    origin = (await last_clip(folder)).source
    assert origin is not None
    assert origin.passed_through


async def test_it_is_the_same_clip_as_the_file_would_be(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "files").mkdir()
    source = write_sound(tmp_path / "files" / "beep.wav", SOUND)
    await add_clip(source, folder)
    (direct,) = await load_clips(source.parent, cache=tmp_path / "cache")
    assert (await last_clip(folder)).frames == direct.frames


async def test_what_is_passed_through_is_copied(tmp_path: Path, folder: Path) -> None:
    source = write_sound(tmp_path / "beep.ogg", SOUND, codec="libopus")
    added = await add_clip(source, folder)
    assert added.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "00-new.opus"),
        (["0-a.opus", "4-b.opus"], "5-new.opus"),
        (["04-b.opus"], "05-new.opus"),
        (["09-b.opus"], "10-new.opus"),
        (["099.wav"], "01-new.opus"),
        (["9-b.opus"], "01-new.opus"),
        (["99-b.opus"], "01-new.opus"),
        (["zebra.wav"], "01-new.opus"),
        (["zebra.wav", "zebra.zip"], "01-new.opus"),
        (["7 rings.mp3", "Bad Guy.mp3"], "02-new.opus"),
        ([f"{number}-x.wav" for number in range(10)], "10-new.opus"),
        ([f"{number:02}-x.wav" for number in range(100)], "0100-new.opus"),
        (["3-a.opus", "README.md", ".9-hidden.wav"], "4-new.opus"),
    ],
)
async def test_it_comes_last(tmp_path: Path, folder: Path, there: list[str], expected: str) -> None:
    for name in there:
        (folder / name).touch()
    source = write_sound(tmp_path / "07_new.wav", SOUND[:960])
    added = await add_clip(source, folder)
    assert added.name == expected
    clips = [name for name in names(folder) if Path(name).suffix in (".wav", ".opus", ".mp3")]
    assert max(clip for clip in clips if clip[0] != ".") == expected
    titles = titles_of(there)
    assert sorted(titles_of(names(folder))) == sorted([*titles, "new"])


async def test_name_can_be_given(tmp_path: Path, folder: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    assert (await add_clip(source, folder, name="sehr schön")).name == "00-sehr schön.opus"


async def test_folder_is_made(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    assert await add_clip(source, tmp_path / "new") == tmp_path / "new" / "00-a.opus"


async def test_failed_write_leaves_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ClipError, match="No space left"):
        await add_clip(source, folder)
    assert names(folder) == []


@pytest.mark.parametrize("attachments", [True, False])
async def test_nothing_is_overwritten(
    tmp_path: Path, folder: Path, attachments: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes the name at the last moment; also on a disk that has no links."""

    def late(*args: object, **kwargs: object) -> None:
        (folder / "00-a.opus").write_text("first")
        raise FileExistsError if attachments else PermissionError

    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    monkeypatch.setattr(os, "link", late)
    with pytest.raises(ClipError, match=r"00-a\.opus: exists already$"):
        await add_clip(source, folder)
    assert names(folder) == ["00-a.opus"]
    assert (folder / "00-a.opus").read_text() == "first"


async def test_disk_without_links_will_do(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    source = write_sound(tmp_path / "a.wav", SOUND)
    monkeypatch.setattr(os, "link", refuse)
    await add_clip(source, folder)
    assert names(folder) == ["00-a.opus"]
    await check_sound(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, r"cannot be read \(No such"), (b"", "cannot be read as"), (b"text", "cannot be read")],
)
async def test_bad_file_is_not_added(
    tmp_path: Path, folder: Path, content: bytes | None, reason: str
) -> None:
    source = tmp_path / "a.wav"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ClipError, match=f"^{source}: {reason}"):
        await add_clip(source, folder)
    assert names(folder) == []


@pytest.mark.parametrize("name", ["a/b", "a\0b"])
async def test_name_that_is_no_file_name(folder: Path, name: str) -> None:
    with pytest.raises(ClipError, match="is no name for a file"):
        await add_clip(BytesIO(pcm(SOUND)), folder, name=name)


async def test_folder_that_is_none(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    with pytest.raises(ClipError, match=rf"^{source}: cannot be written to \(File exists"):
        await add_clip(source, source)
