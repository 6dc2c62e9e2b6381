"""An upload that trickles ends, and keeps nobody out meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from repository_kit import body, sound
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips import upload
from audio_server.clips.errors import ClipError, ClipTooLarge, NotSound, UploadTooSlow
from audio_server.clips.repository import DECODED_MAX, Repository
from audio_server.clips.upload import START_S, UPLOAD_S


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread writes, a clock that jumps would jump."""

    async def run_here(work: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)


async def trickle(piece_bytes: int, every_s: float) -> AsyncGenerator[bytes, None]:
    """A body of which a piece comes now and then, without end."""
    while True:
        yield bytes(piece_bytes)
        await trio.sleep(every_s)


@pytest.mark.parametrize(
    ("piece_bytes", "every_s", "ends_after_s"),
    [
        (0, 60.0, START_S),
        (1, 1.0, START_S),
        (8 << 10, 1.0, 2 * START_S),
        (15 << 10, 1.0, 16 * START_S),
        (17 << 10, 1.0, UPLOAD_S),
    ],
)
async def test_it_ends(
    tmp_path: Path,
    autojump_clock: MockClock,
    no_threads: None,
    piece_bytes: int,
    every_s: float,
    ends_after_s: float,
) -> None:
    started_at, decoding = trio.current_time(), trio.CapacityLimiter(1)
    async with aclosing(trickle(piece_bytes, every_s)) as parts:
        with pytest.raises(UploadTooSlow, match=r"^a: comes too slowly \(at least 16 KiB/s\)$"):
            await upload.receive("a", parts, tmp_path, max_bytes=64 << 20, decoding=decoding)
    assert trio.current_time() - started_at == pytest.approx(ends_after_s, rel=0.1)


async def test_a_slow_line_is_fast_enough(
    tmp_path: Path, autojump_clock: MockClock, no_threads: None
) -> None:
    async with aclosing(trickle(80 << 10, 1.0)) as parts:
        with pytest.raises(ClipTooLarge, match="is larger than 64 MiB"):
            await upload.receive(
                "a", parts, tmp_path, max_bytes=64 << 20, decoding=trio.CapacityLimiter(1)
            )


async def test_those_that_come_slowly_take_no_place_of_a_decoder(repository: Repository) -> None:
    """More than are decoded at the same time do not get on; another one is played meanwhile."""
    async with trio.open_nursery() as nursery:
        for number in range(DECODED_MAX + 2):
            nursery.start_soon(repository.upload, f"{number}.wav", trickle(0, 60.0))
        await wait_all_tasks_blocked(0.01)
        with trio.fail_after(30):
            assert (await repository.upload("a.opus", body(sound(3)))).mode == 3
        nursery.cancel_scope.cancel()


async def test_a_place_is_waited_for(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more are decoded at the same time than there are places."""
    at_once, most = 0, 0

    async def decode(*args: object, **kwargs: object) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(0.01)
        at_once -= 1
        return sound(2)

    monkeypatch.setattr(upload, "opus_of", decode)
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(repository.upload, f"{number}.opus", body(sound(1)))
    assert most == DECODED_MAX


class Client:
    """A body, and whether its client is there."""

    def __init__(self, parts: AsyncGenerator[bytes, None], hung_up: trio.Event) -> None:
        self._parts = parts
        self._hung_up = hung_up

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._parts

    async def wait_gone(self) -> None:
        await self._hung_up.wait()


async def test_a_file_whose_sender_has_gone_is_not_decoded_to_its_end(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung_up, begun, cancelled = trio.Event(), trio.Event(), False

    async def decode(*args: object, **kwargs: object) -> bytes:
        nonlocal cancelled
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled = True

    monkeypatch.setattr(upload, "opus_of", decode)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, repository, hung_up)
        await begun.wait()
        hung_up.set()
    assert cancelled


async def refused(repository: Repository, hung_up: trio.Event) -> None:
    with pytest.raises(ClipError, match="its sender has gone"):
        await repository.upload("a.opus", Client(body(sound(3)), hung_up))


async def test_a_sender_that_stays_hears_what_is_wrong(repository: Repository) -> None:
    with pytest.raises(NotSound, match="an unknown format"):
        await repository.upload("a.wav", Client(body(b"no sound" * 99), trio.Event()))
    fine = Client(body(sound(3)), trio.Event())
    assert (await repository.upload("a.opus", fine)).seconds == 0.06
