"""A clip is prepared once: what it holds, not what it is called, finds it again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from clip_sounds import chirp, write_sound

from audio_server.clips.cache import ENTRY_MAX_BYTES
from audio_server.clips.clip import Clip
from audio_server.clips.decoder import Decoder
from audio_server.clips.encoded_clip import EncodedClip
from audio_server.clips.loader import load_clips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    write_sound(tmp_path / "clips" / "a.wav", chirp(48_000, 0.3))
    write_sound(tmp_path / "clips" / "b.opus", chirp(48_000, 0.4), codec="libopus")
    return tmp_path / "clips"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def ingested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded from here on."""
    names: list[str] = []
    really = Decoder.ingest

    async def spy(self: Decoder, path: Path, *args: Any, **kwargs: Any) -> EncodedClip:
        names.append(path.name)
        return await really(self, path, *args, **kwargs)

    monkeypatch.setattr(Decoder, "ingest", spy)
    return names


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


async def test_second_start_decodes_nothing(folder: Path, cache: Path, ingested: list[str]) -> None:
    first = await load_clips(folder, cache=cache)
    assert sorted(ingested) == ["a.wav", "b.opus"]
    assert await load_clips(folder, cache=cache) == first
    assert sorted(ingested) == ["a.wav", "b.opus"]


@pytest.mark.parametrize("is_warm", [False, True])
async def test_ffmpeg_is_never_loaded_into_the_server(
    folder: Path, cache: Path, is_warm: bool
) -> None:
    if is_warm:
        await load_clips(folder, cache=cache)
    code = f"""
import sys, trio
from functools import partial
from pathlib import Path
from audio_server.clips.loader import load_clips
clips = trio.run(partial(load_clips, Path({str(folder)!r}), cache=Path({str(cache)!r})))
print(len(clips), "av" in sys.modules)
"""
    done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True)
    assert done.stdout == b"2 False\n"


async def test_other_names_are_the_same_clips(
    folder: Path, cache: Path, ingested: list[str]
) -> None:
    await load_clips(folder, cache=cache)
    ingested.clear()
    (folder / "a.wav").rename(folder / "z.sound")
    clips = await load_clips(folder, cache=cache)
    assert [clip.name for clip in clips] == ["b", "z"]
    assert ingested == []


async def test_same_name_with_other_sound_is_another_clip(
    folder: Path, cache: Path, ingested: list[str]
) -> None:
    await load_clips(folder, cache=cache)
    ingested.clear()
    write_sound(folder / "a.wav", chirp(48_000, 0.5))
    clips = await load_clips(folder, cache=cache)
    assert clips[0].packets == 26
    assert ingested == ["a.wav"]


def flip(entry: bytes, at: int) -> bytes:
    return entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda entry: b"",
    "cut in the digest": lambda entry: entry[:20],
    "cut in the head": lambda entry: entry[:60],
    "cut at the end": lambda entry: entry[:-1],
    "longer": lambda entry: entry + b"x",
    "digest": lambda entry: flip(entry, 3),
    "head": lambda entry: flip(entry, 50),
    "sound": lambda entry: flip(entry, -20),
    "something else": lambda entry: b"what is this\n" * 9,
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_entry_is_made_again(
    folder: Path, cache: Path, ingested: list[str], damage: str
) -> None:
    clips = await load_clips(folder, cache=cache)
    before = {path: path.read_bytes() for path in entries(cache)}
    for path, entry in before.items():
        path.write_bytes(DAMAGE[damage](entry))
    ingested.clear()
    assert await load_clips(folder, cache=cache) == clips
    assert sorted(ingested) == ["a.wav", "b.opus"]
    assert {path: path.read_bytes() for path in entries(cache)} == before


def entry_of(name: str, body: bytes) -> bytes:
    """What a server of this version would have written."""
    return hashlib.sha256(name.encode() + b"\0" + body).digest() + body


def with_head(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def changed(body: bytes) -> bytes:
        text, _, sound = body.partition(b"\n")
        head = json.loads(text)
        change(head)
        return json.dumps(head).encode() + b"\n" + sound

    return changed


def source(**fields: object) -> Callable[[bytes], bytes]:
    return with_head(lambda head: head["source"].update(fields))


FOREIGN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: b"",
    "no packets": lambda body: with_head(lambda head: head.update(sizes=[]))(body).split(b"\n")[0],
    "JSON of another kind": lambda body: b"[1, 2]\n",
    "nested": lambda body: b"[" * 200_000 + b"]" * 200_000 + b"\n",
    "nested in a field": lambda body: b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n",
    "no text": lambda body: b"\xff\xfe" + body,
    "more sizes than sound": with_head(lambda head: head["sizes"].append(100)),
    "more sound than sizes": lambda body: body + b"\xf8\xff\xfe",
    "a size of 0": with_head(lambda head: head["sizes"].append(0)),
    "a negative size": with_head(lambda head: head["sizes"].extend([-3, 3])),
    "sizes that are no numbers": with_head(lambda head: head.update(sizes="many")),
    "a size beyond all": with_head(lambda head: head["sizes"].append(10**30)),
    "packets too large": lambda body: b"\n".join(
        (
            with_head(lambda head: head.update(sizes=[20_000]))(body).partition(b"\n")[0],
            b"\xf8" + bytes(19_999),
        )
    ),
    "packets that are no Opus of 20 ms": lambda body: (
        with_head(lambda head: head.update(sizes=[3]))(body).partition(b"\n")[0] + b"\n\0\0\0"
    ),
    "no source": with_head(lambda head: head.pop("source")),
    "another field": with_head(lambda head: head.update(more=1)),
    "another field of the source": source(more=1),
    "a codec with escapes": source(codec="\x1b]0;opus\x07"),
    "a codec that is long": source(codec="o" * 1000),
    "a rate that is text": source(rate_hz="fast"),
    "a negative rate": source(rate_hz=-1),
    "channels without end": source(channels=10**40),
    "a flag that is a number": source(passed_through=1),
}


@pytest.mark.parametrize("what", FOREIGN)
async def test_an_entry_that_is_whole_and_says_something_else_is_made_again(
    folder: Path, cache: Path, ingested: list[str], what: str
) -> None:
    clips = await load_clips(folder, cache=cache)
    before = {path: path.read_bytes() for path in entries(cache)}
    for path, entry in before.items():
        path.write_bytes(entry_of(path.name, FOREIGN[what](entry[32:])))
    ingested.clear()
    assert await load_clips(folder, cache=cache) == clips
    assert sorted(ingested) == ["a.wav", "b.opus"]
    assert {path: path.read_bytes() for path in entries(cache)} == before


async def test_an_entry_of_another_name_is_none(
    folder: Path, cache: Path, ingested: list[str]
) -> None:
    clips = await load_clips(folder, cache=cache)
    one, other = entries(cache)
    one.write_bytes(other.read_bytes())
    ingested.clear()
    assert await load_clips(folder, cache=cache) == clips
    assert len(ingested) == 1


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, ENTRY_MAX_BYTES + 1)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a link to the entry": lambda path: path.symlink_to(path.with_suffix(".moved")),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
    "a file without end": sparse,
}


@pytest.mark.parametrize("what", NO_FILES)
async def test_an_entry_is_a_file(
    folder: Path, cache: Path, ingested: list[str], what: str
) -> None:
    clips = await load_clips(folder, cache=cache)
    before = {path: path.read_bytes() for path in entries(cache)}
    for path in before:
        path.rename(path.with_suffix(".moved"))
        NO_FILES[what](path)
    ingested.clear()
    assert await load_clips(folder, cache=cache) == clips
    assert sorted(ingested) == ["a.wav", "b.opus"]
    assert {path: path.read_bytes() for path in before} == before
    assert not any(path.is_symlink() for path in before)


async def test_a_folder_in_place_of_an_entry_costs_a_start_its_time_only(
    folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = await load_clips(folder, cache=cache)
    for path in entries(cache):
        path.unlink()
        path.mkdir()
    assert await load_clips(folder, cache=cache) == clips
    assert len(caplog.records) == 1


async def test_cache_that_cannot_be_written_is_one_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    clips = await load_clips(folder, cache=tmp_path / "file" / "cache")
    assert [clip.name for clip in clips] == ["a", "b"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert str(tmp_path / "file" / "cache") in record.getMessage()


async def test_failed_write_leaves_nothing_behind(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        await load_clips(folder, cache=cache)
    assert entries(cache) == []
    assert "No space left on device" in caplog.text


async def test_the_same_sound_twice_is_one_entry(folder: Path, cache: Path) -> None:
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes())
    clips: list[Clip] = await load_clips(folder, cache=cache)
    assert clips[0].frames == clips[2].frames
    assert len(entries(cache)) == 2
