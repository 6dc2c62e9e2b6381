"""A new clip comes last, whole or not at all, and never in place of another."""

from __future__ import annotations

import os
import signal
from array import array
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
import trio
import trio.testing
from clip_sounds import DELAY, chirp, heard, packets_for, sent, similarity, write_sound

from audio_server.clips import recording
from audio_server.clips.add import add_clip
from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError
from audio_server.clips.library import load_clips
from audio_server.clips.raw import RawEncoder

SOUND = chirp(48_000, 1.0)


def pcm(samples: list[float]) -> bytes:
    return array("h", (round(sample * 32767) for sample in samples)).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, int]]:
    """Standard input as it is behind `|`, and the recorder's end of it."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream:
        yield stream, write_end


async def last_clip(folder: Path) -> Clip:
    return (await load_clips(folder, cache=folder.parent / "cache"))[-1]


async def check_sound(folder: Path) -> None:
    clip = await last_clip(folder)
    assert clip.packets == packets_for(len(SOUND))
    assert similarity(heard([packet.data for packet in sent(clip)])[DELAY:], SOUND) > 0.98


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
        (["099.wav"], "100-new.opus"),
        (["9-b.opus"], "9-b_new.opus"),
        (["99-b.opus"], "99-b_new.opus"),
        (["zebra.wav"], "zebra_new.opus"),
        (["zebra"], "zebra_new.opus"),
        (["-.wav"], "0-new.opus"),
        (["3-a.opus", "README.md", ".9-hidden.wav"], "4-new.opus"),
    ],
)
async def test_it_comes_last(tmp_path: Path, folder: Path, there: list[str], expected: str) -> None:
    for name in there:
        (folder / name).touch()
    source = write_sound(tmp_path / "07_new.wav", SOUND[:960])
    added = await add_clip(source, folder)
    assert added.name == expected
    assert max(name for name in names(folder) if name[0] != "." and name != "README.md") == expected


async def test_name_can_be_given(tmp_path: Path, folder: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    assert (await add_clip(source, folder, name="sehr schön")).name == "00-sehr schön.opus"


async def test_folder_is_made(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    assert await add_clip(source, tmp_path / "new") == tmp_path / "new" / "00-a.opus"


async def test_raw_sound_of_a_recorder(folder: Path) -> None:
    assert await add_clip(BytesIO(pcm(SOUND)), folder) == folder / "00-recording.opus"
    await check_sound(folder)


FORMATS: dict[str, Callable[[float], bytes]] = {
    "u8": lambda s: bytes([round(s * 127) + 128]),
    "s16be": lambda s: round(s * 32767).to_bytes(2, "big", signed=True),
    "s24le": lambda s: round(s * 8388607).to_bytes(3, "little", signed=True),
    "s32": lambda s: round(s * 2147483647).to_bytes(4, "little", signed=True),
    "f32": lambda s: array("f", [s]).tobytes(),
}


@pytest.mark.parametrize("sample_format", FORMATS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (44_100, 2)])
async def test_raw_sound_of_other_shapes(
    folder: Path, sample_format: str, rate_hz: int, channels: int
) -> None:
    samples = (FORMATS[sample_format](value) * channels for value in chirp(rate_hz, 1.0))
    await add_clip(
        BytesIO(b"".join(samples)),
        folder,
        rate_hz=rate_hz,
        channels=channels,
        sample_format=sample_format,
    )
    await check_sound(folder)


async def test_pieces_of_any_size_are_joined(folder: Path) -> None:
    class Crumbs(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(977)

    await add_clip(Crumbs(pcm(SOUND) + b"x"), folder)
    await check_sound(folder)


@pytest.mark.parametrize(("name", "codec"), [("a.au", "pcm_s16be"), ("a.wav", "pcm_s16le")])
async def test_sound_file_in_a_pipe_is_no_noise(
    tmp_path: Path, folder: Path, name: str, codec: str
) -> None:
    source = write_sound(tmp_path / name, SOUND, codec=codec)
    await add_clip(BytesIO(source.read_bytes()), folder)
    await check_sound(folder)


async def test_interrupt_ends_a_recording_and_keeps_it(
    folder: Path, pipe: tuple[BinaryIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C goes to the recorder too, which then writes the rest and closes its end."""
    stream, recorder = pipe
    taken: list[int] = []
    really = RawEncoder.push

    def push(self: RawEncoder, data: bytes) -> list[bytes]:
        taken.append(len(data))
        if sum(taken) == 50_000:
            signal.raise_signal(signal.SIGINT)
            os.write(recorder, pcm(SOUND)[50_000:])
            os.close(recorder)
        return really(self, data)

    monkeypatch.setattr(RawEncoder, "push", push)
    os.write(recorder, pcm(SOUND)[:50_000])
    await add_clip(stream, folder)
    await check_sound(folder)


async def test_interrupt_ends_a_recorder_that_goes_on(
    folder: Path, pipe: tuple[BinaryIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, recorder = pipe
    really = RawEncoder.push

    def push(self: RawEncoder, data: bytes) -> list[bytes]:
        signal.raise_signal(signal.SIGINT)
        return really(self, data)

    monkeypatch.setattr(RawEncoder, "push", push)
    monkeypatch.setattr(recording, "LAST_WORDS_S", 0.01)
    os.write(recorder, pcm(SOUND)[:48_000])
    await add_clip(stream, folder)
    os.close(recorder)
    assert (await last_clip(folder)).packets == packets_for(24_000)


async def test_cancel_leaves_nothing(folder: Path, pipe: tuple[BinaryIO, int]) -> None:
    stream, recorder = pipe
    os.write(recorder, pcm(SOUND)[:48_000])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(add_clip, stream, folder)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    os.close(recorder)
    assert names(folder) == []


async def test_failed_write_leaves_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ClipError, match="No space left"):
        await add_clip(source, folder)
    assert names(folder) == []


@pytest.mark.parametrize("links", [True, False])
async def test_nothing_is_overwritten(
    tmp_path: Path, folder: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes the name at the last moment; also on a disk that has no links."""

    def late(self: Path, other: Path) -> None:
        self.write_text("first")
        raise FileExistsError if links else PermissionError

    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    monkeypatch.setattr(Path, "hardlink_to", late)
    with pytest.raises(ClipError, match=r"00-a\.opus: exists already$"):
        await add_clip(source, folder)
    assert names(folder) == ["00-a.opus"]
    assert (folder / "00-a.opus").read_text() == "first"


async def test_disk_without_links_will_do(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, other: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    source = write_sound(tmp_path / "a.wav", SOUND)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
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


@pytest.mark.parametrize("content", [b"", b"x"], ids=["nothing", "half a sample"])
async def test_empty_stream_is_not_added(folder: Path, content: bytes) -> None:
    with pytest.raises(ClipError, match=r"^standard input: has no sound in it$"):
        await add_clip(BytesIO(content), folder)
    assert names(folder) == []


async def test_bad_sound_file_in_a_pipe_is_not_added(folder: Path) -> None:
    with pytest.raises(ClipError, match=r"^standard input: cannot be read as sound"):
        await add_clip(BytesIO(b"RIFF and then nothing of the kind"), folder)
    assert names(folder) == []


async def test_stream_that_fails_is_an_error(folder: Path) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ClipError, match=r"^standard input: cannot be read \(Input/output error"):
        await add_clip(Broken(), folder)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"rate_hz": 0}, "0 Hz"), ({"channels": 9}, "9 channels"), ({"sample_format": "x"}, "'x'")],
)
async def test_shape_that_does_not_exist(folder: Path, wrong: dict[str, object], word: str) -> None:
    with pytest.raises(ClipError, match=f"^standard input: .*{word}"):
        await add_clip(BytesIO(pcm(SOUND)), folder, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a/b", "a\0b"])
async def test_name_that_is_no_file_name(folder: Path, name: str) -> None:
    with pytest.raises(ClipError, match="is no name for a file"):
        await add_clip(BytesIO(pcm(SOUND)), folder, name=name)


async def test_folder_that_is_none(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.wav", SOUND[:960])
    with pytest.raises(ClipError, match=rf"^{source}: cannot be written to \(File exists"):
        await add_clip(source, source)
