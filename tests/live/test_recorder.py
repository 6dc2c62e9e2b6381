"""Recording: each programme is a file, whole and bounded; no fault of a disk reaches a channel."""

from __future__ import annotations

import errno
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from audio_server.clips.ogg import LAST, read_pages
from audio_server.clips.ogg_opus import read_opus
from audio_server.device.live_channel import LiveChannel
from audio_server.live import recorder
from audio_server.live.recorder import RETRY_S, WAITING_MAX, WRITE_S, recording
from audio_server.live.recordings import RecordingFile, Recordings

PACKET_S = 0.02
MIB = 1 << 20


class Studio:
    """A channel that is recorded."""

    def __init__(self, folder: Path, max_bytes: int = MIB) -> None:
        self.channel = LiveChannel("radio", 1.0)
        self.recordings = Recordings(folder, max_bytes, 1e9)

    @asynccontextmanager
    async def recorded(self, packets_max: int = 1 << 20) -> AsyncIterator[None]:
        async with recording([self.channel], self.recordings, packets_max):
            yield

    async def send(self, packets: int, size: int = 20) -> None:
        """Send numbered packets in real time."""
        begun = trio.current_time()
        with self.channel.sending():
            for number in range(packets):
                await trio.sleep_until(begun + number * PACKET_S)
                number = self.channel.edge
                self.channel.put(b"\xf8" + number.to_bytes(4, "big") + bytes(size))

    def files(self) -> list[list[int]]:
        """The numbers of the packets in each file, the oldest first; all files are whole."""
        return [self._numbers(one.name) for one in reversed(self.recordings.all())]

    def _numbers(self, name: str) -> list[int]:
        data = (self.recordings.folder / name).read_bytes()
        pages = list(read_pages(io.BytesIO(data)))
        assert pages[-1].flags & LAST
        pieces = read_opus(io.BytesIO(data))
        return [int.from_bytes(piece.data[1:5], "big") for piece in pieces]


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would let the clock of a test run on."""

    async def run(threads: object, work: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(recorder, "_in_thread", run)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "recordings")


async def test_each_programme_is_a_file(studio: Studio, autojump_clock: MockClock) -> None:
    async with studio.recorded():
        await trio.sleep(10)
        assert not studio.recordings.folder.exists()
        await studio.send(500)
        await trio.sleep(0.5)
        await studio.send(100)  # within the patience: it goes on
        await trio.sleep(10)
        assert studio.files() == [list(range(600))]
        await studio.send(1)
        await trio.sleep(10)
        assert studio.recordings.running == frozenset()
    assert studio.files() == [list(range(600)), [600]]


async def test_a_stop_of_the_server_ends_the_file(
    studio: Studio, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with studio.recorded():
        nursery.start_soon(studio.send, 10_000)
        await trio.sleep(30)
        begun = trio.current_time()
    assert trio.current_time() - begun < 1
    (numbers,) = studio.files()
    assert numbers == list(range(len(numbers)))
    assert 29 * 50 <= len(numbers) <= 31 * 50


async def test_a_long_programme_goes_on_in_the_next_file_with_no_packet_missing(
    studio: Studio, autojump_clock: MockClock
) -> None:
    async with studio.recorded(packets_max=1000):
        await studio.send(3500)
        await trio.sleep(10)
    files = studio.files()
    assert [len(numbers) for numbers in files] == [1000, 1000, 1000, 500]
    assert [number for numbers in files for number in numbers] == list(range(3500))


async def test_all_are_bounded_and_the_newest_sound_stays(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    studio = Studio(tmp_path, MIB)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, size_of(tmp_path))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        async with studio.recorded(packets_max=2000):
            await studio.send(8000, size=300)  # 2.4 MB
            await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert most <= MIB
    numbers = [number for numbers in studio.files() for number in numbers]
    assert numbers[-1] == 7999
    assert all(later == one + 1 for one, later in pairwise(numbers))
    assert len(numbers) > 1000


async def test_one_file_alone_may_be_too_large(tmp_path: Path, autojump_clock: MockClock) -> None:
    studio = Studio(tmp_path, MIB)
    async with studio.recorded():
        await studio.send(8000, size=300)
        await trio.sleep(5)
    assert size_of(tmp_path) <= MIB
    assert studio.files()[-1][-1] == 7999


async def test_a_full_disk_ends_the_file_and_not_the_channel(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    write, is_full = RecordingFile.write, False

    def full(self: RecordingFile, packets: Sequence[bytes], *, is_end: bool = False) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, packets, is_end=is_end)

    monkeypatch.setattr(RecordingFile, "write", full)
    with capture_logs() as logs:
        async with studio.recorded():
            await studio.send(500)
            is_full = True
            await studio.send(500)
            await trio.sleep(RETRY_S + 5)
            is_full = False
            await studio.send(500)
            await trio.sleep(10)
            assert studio.channel.edge == 1500
    failed = [line for line in logs if line["event"] == "recording failed"]
    assert [line["reason"] for line in failed] == ["No space left on device"]
    studio.recordings.mend()
    first, last = studio.files()
    assert first == list(range(len(first)))
    assert len(first) >= 500 - (WRITE_S + 1) * 50
    assert last == list(range(1000, 1500))


async def test_a_slow_disk_loses_sound_of_the_recording_and_takes_no_memory(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    answers = trio.Event()

    async def slow(threads: object, work: Callable[..., object], *args: object) -> object:
        await answers.wait()
        return work(*args)

    with capture_logs() as logs:
        async with studio.recorded():
            monkeypatch.setattr(recorder, "_in_thread", slow)
            await studio.send(WAITING_MAX + 1500)
            assert studio.channel.edge == WAITING_MAX + 1500
            answers.set()
            await trio.sleep(10)
    missing = [line["packets"] for line in logs if line["event"] == "recording lacks sound"]
    (numbers,) = studio.files()
    assert len(numbers) + sum(missing) == WAITING_MAX + 1500
    assert sum(missing) > 1000


async def test_a_folder_that_cannot_be_made_is_a_line_in_the_log(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    (tmp_path / "file").write_text("")
    studio = Studio(tmp_path / "file" / "recordings")
    with capture_logs() as logs:
        async with studio.recorded():
            await studio.send(500)
            await trio.sleep(5)
    assert "recording failed" in {line["event"] for line in logs}
    assert studio.channel.edge == 500


async def test_a_file_is_closed_in_a_thread_since_its_disk_may_hang(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    closed = trio.Event()

    async def run(threads: object, work: Callable[..., object], *args: object) -> object:
        if getattr(work, "__name__", "") == "close":
            work(*args)
            closed.set()
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(recorder, "_in_thread", run)
    async with studio.recorded():
        await studio.send(500)
        await trio.sleep(1)
        begun = trio.current_time()
    assert closed.is_set()
    assert trio.current_time() - begun < 5
