"""Every bound: what is inside it passes, what is past it ends the offender and nobody else."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from offending import beside_a_healthy_device, calm_down, send_many
from raw_peer import RawPeer, framed, request_headers
from serving import LENIENT, Served, echo, never, packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked

Logs = list[MutableMapping[str, Any]]
Frames = Callable[[RawPeer, int], list[Frame]]


# Header blocks and SETTINGS


async def test_eight_continuations_are_enough(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        peer = served.peer
        block = peer.encoder.encode(request_headers())
        await peer.send(HeadersFrame(1, data=block[:1], flags=["END_STREAM"]))
        for number in range(7):
            await peer.send(ContinuationFrame(1, data=block[1 + number : 2 + number]))
        await peer.send(ContinuationFrame(1, data=block[8:], flags=["END_HEADERS"]))
        assert await peer.status(1) == 0
        await peer.send(HeadersFrame(3, data=b""))
        await send_many(peer, [ContinuationFrame(3, data=b"") for _ in range(9)])
        await calm_down(served)


async def test_a_header_block_is_at_most_16_kib(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        await served.peer.send(HeadersFrame(1, data=b"\x00" * 8000))
        await send_many(served.peer, [ContinuationFrame(1, data=b"\x00" * 8500)])
        await calm_down(served)


async def test_a_header_block_that_unpacks_to_more_is_refused(autojump_clock: MockClock) -> None:
    """An HPACK bomb: one byte for each repetition of a long header."""
    async with beside_a_healthy_device() as served:
        peer = served.peer
        await peer.open(1, ("x-bomb", "b" * 3900), end=True)
        assert await peer.status(1) == 0
        await peer.send(HeadersFrame(3, data=b"\xbe" * 1000, flags=["END_HEADERS"]))
        await calm_down(served)


async def test_settings_hold_at_most_32_values_and_only_known_ones_are_kept(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device() as served:
        known = len(served.connection.http2._h2.remote_settings)
        for start in range(100, 2100, 32):
            await served.peer.settings({start + n: 1 for n in range(32)})
            await wait_all_tasks_blocked()
        assert len(served.connection.http2._h2.remote_settings) <= known + 2
        await served.peer.settings({100 + n: 1 for n in range(33)})
        await calm_down(served)


async def test_a_peer_cannot_make_our_header_table_grow(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        await served.peer.settings({1: 2**32 - 1})
        for number in range(200):
            await served.peer.open(2 * number + 1, path=f"/{number}" + "x" * 300, end=True)
            await served.peer.status(2 * number + 1)
        assert served.connection.http2._h2.encoder.header_table._current_size <= 4096


# Messages and metadata


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ([(f"k{n}", "v") for n in range(94)], 0),  # and six of HTTP's own
        ([(f"k{n}", "v") for n in range(95)], Status.RESOURCE_EXHAUSTED.value),
        ([("k", "v" * 8000)], 0),
        ([("k", "v" * 8192)], Status.RESOURCE_EXHAUSTED.value),
    ],
)
async def test_metadata_is_bounded(
    autojump_clock: MockClock, extra: list[tuple[str, str]], status: int
) -> None:
    async with beside_a_healthy_device() as served:
        await served.peer.open(1, *extra, end=True)
        assert await served.peer.status(1) == status
        await served.peer.open(3, end=True)
        assert await served.peer.status(3) == 0


async def test_one_message_is_at_most_64_kib_on_its_prefix_alone(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(services=never) as served:
        await served.peer.open(1)
        await served.peer.give(1, b"\x00\x00\x01\x00\x01")
        assert await served.peer.status(1) == Status.RESOURCE_EXHAUSTED.value


# What waits for a peer that does not read


async def stalled(served: Served, frames: list[Frame]) -> None:
    """Send, and never read."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_many, served.peer, frames)
        await served.ended.wait()


async def test_1000_answers_may_wait_for_a_peer_that_does_not_read(
    autojump_clock: MockClock, logs: Logs
) -> None:
    limits = replace(LENIENT, settings=(10_000, 1), max_waiting_answers=1000)
    async with beside_a_healthy_device(
        limits=limits, pair=trio.testing.lockstep_stream_pair
    ) as served:
        start = trio.current_time()
        await stalled(served, [SettingsFrame(0) for _ in range(1002)])
        assert trio.current_time() - start < 1
    assert [line["reason"] for line in logs] == ["the peer does not read"]


async def test_256_kib_may_wait_for_a_peer_that_does_not_read(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async def fail(call: Any) -> None:
        raise GRPCError(Status.INTERNAL, call.metadata["n"] * 200)

    limits = replace(LENIENT, resets=(10**6, 1), calls=(10**6, 1))
    async with beside_a_healthy_device(
        services=fail, limits=limits, pair=trio.testing.lockstep_stream_pair
    ) as served:
        frames: list[Frame] = []
        for stream_id in range(1001, 2001, 2):
            headers = request_headers("/test.Echo/Echo", ("n", str(stream_id)))
            frames.append(served.peer.headers_frame(stream_id, headers, end=True))
        await stalled(served, frames)
    assert [line["reason"] for line in logs] == ["the peer does not read"]


async def test_data_stops_long_before_when_the_peer_does_not_read(
    autojump_clock: MockClock,
) -> None:
    async def talk(call: Any) -> None:
        while True:
            await call.send_framed(framed(packet(1000)))

    async with beside_a_healthy_device(
        services=talk, pair=trio.testing.lockstep_stream_pair
    ) as served:
        await send_many(
            served.peer,
            [
                SettingsFrame(0, settings={4: 2**30}),
                WindowUpdateFrame(0, window_increment=2**30),
                *(served.peer.headers_frame(n, request_headers()) for n in (1, 3, 5)),
            ],
        )
        await trio.sleep(5)
        assert len(served.connection.http2.out) < 32 * 1024
        for stream in served.connection.streams.values():
            assert len(stream._pending) <= 1005


# Many small frames


async def test_no_peer_keeps_the_others_waiting(autojump_clock: MockClock) -> None:
    """However many frames come in one piece, the others have their turn in between."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with serving(echo) as served, trio.open_nursery() as nursery:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        nursery.start_soon(count_turns)
        await served.peer.raw(DataFrame(1, data=framed(b"")).serialize() * 1000)
        await served.peer.give(1, b"", end=True)
        assert await served.peer.status(1) == 0
        nursery.cancel_scope.cancel()
    assert turns > 1000 / 16


async def test_sixteen_frames_of_a_peer_are_taken_in_a_turn(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [0]

    class Turns(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            taken.append(0)

    def count(_: object, frame: object) -> None:
        taken[-1] += 1

    async with serving(echo) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(type(served.connection), "watch", count)
        trio.lowlevel.add_instrument(turns := Turns())
        await served.peer.raw(DataFrame(1, data=framed(b"")).serialize() * 40)
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(turns)
    assert list(filter(None, taken)) == [16, 16, 8]


async def test_a_handler_that_reads_fast_lets_others_in(autojump_clock: MockClock) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async def read(call: Any) -> None:
        async for _ in call:
            pass

    async with serving(read) as served, trio.open_nursery() as nursery:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        nursery.start_soon(count_turns)
        await served.peer.give(1, framed(b"") * 3000, end=True)
        assert await served.peer.status(1) == 0
        nursery.cancel_scope.cancel()
    assert turns >= 3000


async def test_resets_of_our_own_are_not_the_peers(autojump_clock: MockClock) -> None:
    """A handler may end its calls as it likes."""

    async def cancel(call: Any) -> None:
        await call.cancel()

    async with serving(cancel) as served:
        for number in range(200):
            await served.peer.open(2 * number + 1)
            await served.peer.next(RstStreamFrame)
        assert not served.ended.is_set()
