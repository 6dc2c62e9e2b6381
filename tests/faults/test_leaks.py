"""However a connection ends, all that it was made of is freed at once, without a collection.

Full collections are rare (`audio_server.process.gc_policy`), so that one cycle of objects for each
connection would hold its memory for a long time.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from functools import partial

import pytest
import structlog
import trio
from fault_house import House, open_house, wait_until
from http2_frames import frame
from leak_ends import ENDS, hear, listen
from soak_attacks import ATTACKS
from soak_server import COUNTED
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.rpc.io.writer import WriteBuffer
from audio_server.rpc.server_connection import serve_connection
from audio_server.service.device_service import DeviceService
from benchmarks.frames import AUDIO, PRESSES, Button, Kind, opening

TIMES = 5
OURS = ("audio_server.", "h2.", "hpack.", "grpclib.", "trio.lowlevel.Task", "trio.CancelScope")
KINDS = (*COUNTED, "ServerCall", "StatusLink", "EventLink", "AudioLink", "Pass", "Take", "Player")


def census() -> Counter[str]:
    """Objects of peers that are alive, and the tasks."""
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    tasks = trio.lowlevel.current_statistics().tasks_living
    return Counter({kind: kinds[kind] for kind in KINDS} | {"tasks": tasks})


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    """What is freed is freed by its reference counts."""
    gc.collect()
    gc.freeze()  # what is there already is not looked at again and again
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(autouse=True)
def errors() -> Iterator[list[str]]:
    """What is logged as a fault of ours, by name alone: an exception that is kept keeps more."""
    events: list[str] = []

    def note(_: object, level: str, event: MutableMapping[str, object]) -> str:
        if level in ("error", "critical", "exception"):
            events.append(str(event["event"]))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note])
    yield events
    structlog.configure(**before)


def garbage() -> Counter[str]:
    """What of ours only a collection would free; frees it."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = [type(each) for each in gc.garbage]
        gc.garbage.clear()
    finally:
        gc.set_debug(0)
    gc.collect()
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in found)
    return Counter(name for name in names if name.startswith(OURS))


@asynccontextmanager
async def nothing_left() -> AsyncIterator[House]:
    """A server that holds afterwards what it held before."""
    async with open_house() as house:
        await wait_all_tasks_blocked()
        gc.collect()
        before = census()
        yield house
        try:
            await wait_until(lambda: not house.connections and not house.devices.by_id, 4)
            await wait_until(lambda: not census() - before, 1)
        except trio.TooSlowError:
            assert census() - before == Counter()
        assert garbage() == Counter()


async def connect(house: House, device_id: str = "one") -> trio.SocketStream:
    """A device that plays, on a connection of its own."""
    stream = await trio.open_tcp_stream("127.0.0.1", house.port)
    await stream.send_all(opening(device_id, "leaks") + PRESSES[Button.PLAY])
    await hear(stream, 1500)
    return stream


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_nothing_is_left_of_a_device(
    end: Callable[[trio.SocketStream], Awaitable[None]], errors: list[str]
) -> None:
    async with nothing_left() as house:
        for number in range(TIMES):
            async with await connect(house, f"device-{number % 2}") as stream:
                await end(stream)
    assert errors == []


async def test_nothing_is_left_of_a_connection_that_was_overtaken() -> None:
    async with nothing_left() as house:
        streams = [await connect(house) for _ in range(TIMES)]
        for stream in streams[:-1]:
            await stream.send_all(PRESSES[Button.PLAY])
        for stream in streams:
            await stream.aclose()


async def test_nothing_is_left_of_calls_that_were_overtaken() -> None:
    async with nothing_left() as house, await connect(house) as stream:
        calls = opening("one", "leaks")[24 + 9 + 6 + 13 :]
        for number in range(TIMES):
            await stream.send_all(_renumbered(calls, 6 * (number + 1)))
        await hear(stream, 200)


def _renumbered(frames: bytes, by: int) -> bytes:
    """The same frames on streams of higher numbers."""
    made, begin = b"", 0
    while begin < len(frames):
        end = begin + 9 + int.from_bytes(frames[begin : begin + 3], "big")
        stream = int.from_bytes(frames[begin + 5 : begin + 9], "big") + by
        made += frames[begin : begin + 5] + stream.to_bytes(4, "big") + frames[begin + 9 : end]
        begin = end
    return made


async def test_nothing_is_left_of_a_clip_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(clip: Clip, start: int, stop: int) -> bytes:
        raise OSError("gone")

    monkeypatch.setattr(Clip, "slice", fail)
    async with nothing_left() as house:
        for _ in range(TIMES):
            async with await trio.open_tcp_stream("127.0.0.1", house.port) as stream:
                await stream.send_all(opening("one", "leaks") + PRESSES[Button.PLAY])
                await hear(stream, 100)


async def test_nothing_is_left_of_a_handler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(DeviceService, "claim", fail)
    async with nothing_left() as house:
        for _ in range(TIMES):
            async with await trio.open_tcp_stream("127.0.0.1", house.port) as stream:
                await stream.send_all(opening("one", "leaks"))
                await hear(stream, 150)


async def test_nothing_is_left_of_a_device_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of ours, logged as one."""
    async with nothing_left() as house:
        for _ in range(TIMES):
            async with await connect(house) as stream:
                with monkeypatch.context() as fault:
                    fault.setattr("audio_server.device.behaviour.pressed", lambda *_: 1 / 0)
                    await stream.send_all(PRESSES[Button.PLAY])
                    await wait_until(lambda: not house.devices.by_id)


async def test_nothing_is_left_of_an_outbox_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with nothing_left() as house:
        for _ in range(TIMES):
            async with await connect(house) as stream:
                with monkeypatch.context() as fault:
                    fault.setattr(WriteBuffer, "_write_some", lambda _: 1 / 0)
                    await stream.send_all(PRESSES[Button.STOP])
                    await trio.sleep(0.02)


SLOW = ("silence", "slow preface", "slow header block", "many streams")
BRIEF = [name for name in ATTACKS if name not in SLOW]


async def test_nothing_is_left_of_attacks(errors: list[str]) -> None:
    async with nothing_left() as house, trio.open_nursery() as nursery:
        for name in BRIEF:
            nursery.start_soon(_attack, house, name)
    assert errors == []


async def _attack(house: House, name: str) -> None:
    with trio.move_on_after(0.6):
        stream = await trio.open_tcp_stream("127.0.0.1", house.port)
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(_listen_in_peace, stream)
            try:
                async for data in ATTACKS[name](f"foe-{name}".replace(" ", "-")):
                    await stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                nursery.cancel_scope.cancel()


async def _listen_in_peace(stream: trio.SocketStream) -> None:
    try:
        while await stream.receive_some(65536):
            pass
    except trio.BrokenResourceError:
        pass


async def test_nothing_is_left_after_a_drain() -> None:
    stop = trio.Event()
    gc.collect()
    before = census()
    async with open_house(stop=stop) as house:
        streams = [await connect(house, f"device-{number}") for number in range(TIMES)]
        stop.set()
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(listen, stream)
        for stream in streams:
            await stream.aclose()
        await wait_until(lambda: not house.connections)
    assert census() - before == Counter()
    assert garbage() == Counter()


def _without_audio(frames: bytes) -> bytes:
    """An opening with no audio call."""
    return frames[: frames.rindex(frame(Kind.DATA, 1, AUDIO, b"\0\0\0\0\2\x08\1"))]


async def _in_memory(house: House, said: bytes, *, until_s: float) -> Counter[str]:
    """What is left of devices that say this and no more; none of them takes anything."""
    services = DeviceService(house.devices).__mapping__()
    await wait_all_tasks_blocked()
    gc.collect()
    before = census()
    for number in range(TIMES):
        near, far = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(serve_connection, services, far, number=number))
            await near.send_all(said)
            await trio.sleep(until_s)
            await near.send_all(PRESSES[Button.PLAY])
        del near, far, nursery
    return census() - before


async def test_nothing_is_left_of_one_that_fell_silent(autojump_clock: MockClock) -> None:
    """In memory, for keepalive takes 30 s; the take that nobody hears is cut then."""
    async with open_house() as house:
        assert await _in_memory(house, opening("one", "leaks"), until_s=10) == Counter()
        assert garbage() == Counter()


async def test_nothing_is_left_of_plays_with_no_stream_to_play_on(
    autojump_clock: MockClock,
) -> None:
    async with open_house() as house:
        calls = _without_audio(opening("one", "leaks"))
        calls = calls[: calls.rindex(b"\x01\x04\0\0\0\x05") - 3]
        assert await _in_memory(house, calls + PRESSES[Button.PLAY], until_s=5) == Counter()
        assert garbage() == Counter()
