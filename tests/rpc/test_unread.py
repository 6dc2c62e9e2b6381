"""What is kept for a peer that opens no window: little, and not for long."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
import trio
from hyperframe.frame import Frame, PingFrame, RstStreamFrame
from offending import beside_a_healthy_device
from raw_peer import RawPeer, framed
from serving import Served, packet
from trio.testing import MockClock, wait_all_tasks_blocked

Logs = list[MutableMapping[str, Any]]

CANCEL = 8
SHUT = {4: 0}
"""SETTINGS of a peer that takes no DATA."""


async def answer(call: Any) -> None:
    """Say one thing, whether there is room for it or not, and be done."""
    writer = await call.open_writer()
    writer.send_nowait(framed(packet(100)))


async def stay(peer: RawPeer, until: type[Frame]) -> Frame:
    """Answer PINGs until a frame of a kind comes."""
    while True:
        frame = await peer.next(Frame)
        if isinstance(frame, until):
            return frame
        if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            await peer.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))


async def test_a_status_behind_a_window_that_stays_shut_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(services=answer, settings=SHUT) as served:
        start = trio.current_time()
        await served.peer.open(1, end=True)
        reset = await stay(served.peer, RstStreamFrame)
        assert isinstance(reset, RstStreamFrame)
        assert (reset.stream_id, reset.error_code) == (1, CANCEL)
        assert trio.current_time() - start == pytest.approx(30)
        await wait_all_tasks_blocked()
        assert not served.connection.streams
        assert not served.ended.is_set()


async def test_a_status_arrives_when_the_window_opens_late(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(services=answer, settings=SHUT) as served:
        await served.peer.open(1, end=True)
        await trio.sleep(15)
        await served.peer.widen(1, 1000)
        assert await served.peer.status(1) == 0
        await wait_all_tasks_blocked()
        assert not served.connection.streams


@pytest.mark.parametrize("goes", [True, False])
async def test_who_leaves_while_a_status_waits_leaves_nothing(
    autojump_clock: MockClock, *, goes: bool
) -> None:
    async with beside_a_healthy_device(services=answer, settings=SHUT) as served:
        await served.peer.open(1, end=True)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        if goes:
            await served.peer.transport.aclose()
            await served.ended.wait()
        else:
            await served.peer.reset(1)
            await wait_all_tasks_blocked()
        assert not served.connection.streams
        assert trio.current_time() == start


async def test_a_handler_that_asks_for_no_room_heaps_up_256_kib_at_most(
    autojump_clock: MockClock, logs: Logs
) -> None:
    most = 0

    async def heap_up(call: Any) -> None:
        nonlocal most
        writer = await call.open_writer()
        while True:
            writer.send_nowait(framed(packet(1000)))
            streams = served.connection.streams.values()
            most = max(most, sum(stream.waiting_bytes for stream in streams))
            await trio.lowlevel.checkpoint()

    served: Served
    async with beside_a_healthy_device(services=heap_up, settings=SHUT) as served:
        for stream_id in (1, 3, 5, 7):
            await served.peer.open(stream_id)
        await served.ended.wait()
    assert 256 * 1024 < most < 256 * 1024 + 4096
    assert [line["reason"] for line in logs] == ["the peer does not read"]
