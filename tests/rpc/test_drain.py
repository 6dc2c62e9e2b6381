"""Ends that were announced: a drain, and a client that says GOAWAY."""

from __future__ import annotations

from typing import Any

import trio
from grpclib.const import Status
from hyperframe.frame import GoAwayFrame
from serving import never, packet, serving
from trio.testing import MockClock

from audio_server.rpc.gradual_drain import GradualDrain


async def test_a_clients_goaway_lets_its_open_calls_finish(autojump_clock: MockClock) -> None:
    async with serving() as served:
        peer = served.peer
        await peer.open(1)
        await peer.send(GoAwayFrame(0, last_stream_id=0, error_code=0))
        for _ in range(3):
            await trio.sleep(10)
            await peer.message(1, packet(100))
        await peer.give(1, b"", end=True)
        assert await peer.status(1) == 0
        assert len(peer.data[1]) == 315


async def test_after_a_clients_goaway_and_its_last_call_the_connection_is_closed(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served:
        await served.peer.open(1)
        await served.peer.send(GoAwayFrame(0, last_stream_id=0, error_code=0))
        await served.peer.give(1, b"", end=True)
        assert await served.peer.status(1) == 0
        with trio.fail_after(1):
            await served.peer.closed()


async def test_unavailable_is_told_to_calls_of_a_draining_connection(
    autojump_clock: MockClock,
) -> None:
    async with serving(never) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.connection.drain)
            first = await served.peer.goaway()
            assert (first.error_code, first.last_stream_id) == (0, 2**31 - 1)
            await served.peer.open(3)  # was on its way: not lost without a word
            second = await served.peer.goaway()
            assert (second.error_code, second.last_stream_id) == (0, 3)
            assert await served.peer.status(1) == Status.UNAVAILABLE.value
            assert await served.peer.status(3) == Status.UNAVAILABLE.value
            await served.peer.closed()


async def test_a_call_that_comes_after_the_second_goaway_is_refused(
    autojump_clock: MockClock,
) -> None:
    async def slow_to_end(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with serving(slow_to_end) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.connection.drain)
            await served.peer.goaway()
            await served.peer.goaway()
            await served.peer.open(3)
            assert await served.peer.reset_code(3) == 7
            assert await served.peer.status(1) == Status.UNAVAILABLE.value
            await served.peer.closed()


async def test_a_gradual_end_says_each_of_its_goaways_once(autojump_clock: MockClock) -> None:
    """Also where the calls take their time to end."""

    async def slow_to_end(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with serving(slow_to_end) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        await GradualDrain({served.connection}, set).end_all(4.0)
        frames = await served.peer.closed()
    goaways = [frame for frame in frames if isinstance(frame, GoAwayFrame)]
    assert [frame.last_stream_id for frame in goaways] == [2**31 - 1, 1]


async def test_a_drain_without_calls_is_at_once(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.quiet()
        start = trio.current_time()
        await served.connection.drain()
        await served.peer.closed()
        assert trio.current_time() == start
