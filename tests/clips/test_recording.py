"""A clip out of a pipe: raw sound of any shape, until it ends or Ctrl-C ends it."""

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
from clip_folder import SOUND, check_sound, last_clip, names, pcm
from clip_sounds import DELAY, chirp, heard, packets_for, sent, similarity, write_sound

from audio_server.clips import recording
from audio_server.clips.add import add_clip
from audio_server.clips.errors import ClipError, ClipTooLarge, NotSound
from audio_server.clips.raw import RawEncoder


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, int]]:
    """Standard input as it is behind `|`, and the recorder's end of it."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream:
        yield stream, write_end


async def test_raw_sound_of_a_recorder(folder: Path) -> None:
    assert (
        await add_clip(BytesIO(pcm(SOUND)), folder, rate_hz=48_000) == folder / "00-recording.opus"
    )
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

    await add_clip(Crumbs(pcm(SOUND) + b"x"), folder, channels=1)
    await check_sound(folder)


# Container, codec, and the delay of its encoder in samples where the container does not tell it.
PIPED = {
    "AU": ("au", "pcm_s16be", 0),
    "WAV": ("wav", "pcm_s16le", 0),
    "W64": ("w64", "pcm_s16le", 0),
    "AIFF": ("aiff", "pcm_s16be", 0),
    "CAF": ("caf", "pcm_s16be", 0),
    "FLAC": ("flac", "flac", 0),
    "Matroska": ("matroska", "flac", 0),
    "WebM": ("webm", "libopus", 0),
    "Ogg Opus": ("ogg", "libopus", 0),
    "MP3 without ID3": ("mp3", "libmp3lame", 1105),
    "M4A": ("ipod", "aac", 0),
    "ADTS": ("adts", "aac", 1024),
    "AC-3": ("ac3", "ac3", 256),
    "WavPack": ("wv", "wavpack", 0),
    "TTA": ("tta", "tta", 0),
    "ASF": ("asf", "pcm_s16le", 0),
    "MPEG-TS": ("mpegts", "aac", 1024),
    "AVI": ("avi", "pcm_s16le", 0),
}


@pytest.mark.parametrize("kind", PIPED)
async def test_sound_file_in_a_pipe_is_no_noise(tmp_path: Path, folder: Path, kind: str) -> None:
    """It is told by what it holds, however its bytes come, and not by a list of beginnings."""
    container, codec, delay = PIPED[kind]
    options = {"id3v2_version": "0", "write_xing": "0"} if container == "mp3" else None
    source = write_sound(
        tmp_path / "a", SOUND, codec=codec, container=container, container_options=options
    )
    await add_clip(Slow(source.read_bytes(), 1), folder)
    clip = await last_clip(folder)
    sound = heard([packet.data for packet in sent(clip)])
    assert len(sound) == pytest.approx(len(SOUND), abs=4500)
    assert similarity(sound[DELAY + delay :], SOUND) > 0.95


class Slow(BytesIO):
    """A pipe whose first read is short."""

    def __init__(self, data: bytes, first: int | None) -> None:
        super().__init__(data)
        self._first = first

    def read(self, size: int | None = -1) -> bytes:
        size, self._first = self._first or size, None
        return super().read(size)


async def test_raw_sound_that_nobody_announced_is_an_error(folder: Path) -> None:
    with pytest.raises(NotSound, match=r"^standard input: cannot be read as sound \(an unknown"):
        await add_clip(BytesIO(pcm(SOUND)), folder)
    assert names(folder) == []


async def test_a_sound_file_in_a_pipe_is_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "STREAM_MAX_BYTES", 1 << 20)
    with pytest.raises(ClipTooLarge, match=r"^standard input: is larger than 1 MiB$"):
        await add_clip(BytesIO(bytes(1 << 20) + b"x"), folder)


async def test_raw_sound_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_PACKETS", 30)
    with pytest.raises(ClipTooLarge, match=r"^standard input: is longer than 0.01 minutes$"):
        await add_clip(BytesIO(pcm(SOUND)), folder, sample_format="s16")


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
    await add_clip(stream, folder, sample_format="s16")
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
    await add_clip(stream, folder, sample_format="s16")
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


@pytest.mark.parametrize("content", [b"", b"x"], ids=["nothing", "half a sample"])
async def test_empty_stream_is_not_added(folder: Path, content: bytes) -> None:
    with pytest.raises(ClipError, match=r"^standard input: has no sound in it$"):
        await add_clip(BytesIO(content), folder, sample_format="s16")
    assert names(folder) == []


async def test_nothing_in_a_pipe_is_not_added(folder: Path) -> None:
    with pytest.raises(NotSound, match=r"^standard input: has no sound in it$"):
        await add_clip(BytesIO(b""), folder)


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
