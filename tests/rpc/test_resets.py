"""Resets reach the handler at once, and leave nothing."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import trio
from grpclib.const import Status
from hyperframe.frame import RstStreamFrame
from offending import beside_a_healthy_device
from raw_peer import request_headers
from serving import LENIENT, echo, never, packet
from trio.testing import MockClock, wait_all_tasks_blocked


async def test_a_reset_cancels_the_handler_within_a_tick(autojump_clock: MockClock) -> None:
    cancelled = trio.Event()

    async def handler(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with beside_a_healthy_device(handler) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        await served.peer.reset(1)
        await trio.lowlevel.checkpoint()  # the reader runs
        await trio.lowlevel.checkpoint()  # the handler runs
        await trio.lowlevel.checkpoint()
        assert cancelled.is_set()
        assert not served.connection.streams


async def test_a_reset_before_the_first_step_means_no_step(autojump_clock: MockClock) -> None:
    steps = []

    async def handler(call: Any) -> None:
        steps.append(1)

    async with beside_a_healthy_device(handler) as served:
        peer = served.peer
        opening = peer.headers_frame(1, request_headers()).serialize()
        await peer.raw(opening + RstStreamFrame(1, error_code=8).serialize())
        await peer.quiet()
        assert steps == []
        assert not served.connection.streams


async def test_many_resets_leave_nothing(autojump_clock: MockClock) -> None:
    limits = replace(LENIENT, max_streams=10)
    async with beside_a_healthy_device(never, limits=limits) as served:
        peer = served.peer
        for stream_id in range(1, 101, 2):
            await peer.open(stream_id)
            await peer.reset(stream_id)
            if stream_id % 10 == 1:
                await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert not served.connection.streams
        assert len(served.connection.http2._h2.streams) <= 1


async def test_a_reset_ends_sending_and_receiving(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def handler(call: Any) -> None:
        try:
            async for _ in call:
                seen.append("message")
        finally:
            seen.append("ended")

    async with beside_a_healthy_device(handler) as served:
        await served.peer.open(1)
        await served.peer.message(1, packet(5))
        await served.peer.reset(1)
        frames = [frame for frame in await served.peer.quiet() if frame.stream_id == 1]
        assert seen[-1] == "ended"
        assert not any(isinstance(frame, RstStreamFrame) for frame in frames)


async def test_streams_over_the_limit_are_refused_and_the_connection_lives(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(limits=replace(LENIENT, max_streams=3)) as served:
        peer = served.peer
        for stream_id in (1, 3, 5):
            await peer.open(stream_id)
        # A header that is indexed from then on: refused, it must be decoded all the same.
        await peer.open(7, ("x-new", "value"))
        assert await peer.reset_code(7) == 7  # REFUSED_STREAM
        await peer.message(7, packet(1000), end=True)
        await peer.message(1, packet(5), end=True)
        assert await peer.status(1) == 0
        await peer.open(9, ("x-new", "value"), end=True)
        assert await peer.status(9) == 0


async def test_a_stream_counts_until_its_handler_has_exited(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with beside_a_healthy_device(handler, limits=replace(LENIENT, max_streams=1)) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        await served.peer.reset(1)
        await served.peer.open(3)
        assert await served.peer.reset_code(3) == 7
        await trio.sleep(4)
        await served.peer.open(5, path="/nothing")
        assert await served.peer.status(5) == Status.UNIMPLEMENTED.value


async def test_frames_for_a_stream_that_we_have_reset_are_passed_over(
    autojump_clock: MockClock, logs: list[MutableMapping[str, Any]]
) -> None:
    async with beside_a_healthy_device(limits=replace(LENIENT, max_streams=1)) as served:
        peer = served.peer
        await peer.open(1)
        for stream_id in (3, 5, 7):
            await peer.open(stream_id)
            assert await peer.reset_code(stream_id) == 7
        for stream_id in (3, 5, 7, 3):
            await peer.message(stream_id, packet(1000))
            await peer.widen(stream_id, 10)
        for stream_id in (3, 5, 7):  # trailers: out of step if they were not decoded
            frame = peer.headers_frame(stream_id, [("x-t", f"{stream_id}")], end=True)
            await peer.send(frame)
            await peer.reset(stream_id)
        await peer.message(1, packet(5), end=True)
        assert await peer.status(1) == 0


async def test_frames_for_a_call_that_has_ended_are_passed_over(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(echo) as served:
        peer = served.peer
        for stream_id in (1, 3):
            await peer.open(stream_id, end=True)
            assert await peer.status(stream_id) == 0
        for stream_id in (1, 3):  # in flight when the call ended
            await peer.widen(stream_id, 10)
            await peer.reset(stream_id)
        await peer.open(5, end=True)
        assert await peer.status(5) == 0
