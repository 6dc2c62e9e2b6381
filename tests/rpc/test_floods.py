"""Frames past their rate end the offender and nobody else; below it they may come for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from offending import beside_a_healthy_device, calm_down, send_many
from raw_peer import RawPeer, request_headers
from serving import LENIENT, never, packet
from trio.testing import MockClock, wait_all_tasks_blocked

Logs = list[MutableMapping[str, Any]]
Frames = Callable[[RawPeer, int], list[Frame]]


# Rates

FLOODS: dict[str, tuple[str, Callable[[int], Frame]]] = {
    "settings": ("settings", lambda n: SettingsFrame(0, settings={})),
    "settings_acks": ("settings", lambda n: SettingsFrame(0, flags=["ACK"])),
    "priorities": ("priorities", lambda n: PriorityFrame(2 * n + 7, depends_on=1)),
    "window_updates": ("window_updates", lambda n: WindowUpdateFrame(0, window_increment=1)),
    "stream_window_updates": (
        "window_updates",
        lambda n: WindowUpdateFrame(1, window_increment=1),
    ),
    "empty_data": ("empty_data", lambda n: DataFrame(1, data=b"")),
    "ping_acks": ("odd_frames", lambda n: PingFrame(0, opaque_data=b"x" * 8, flags=["ACK"])),
    "goaways": ("odd_frames", lambda n: GoAwayFrame(0, last_stream_id=0, error_code=0)),
    "unknown": ("odd_frames", lambda n: unknown_frame()),
}


def unknown_frame() -> Frame:
    class Unknown(Frame):
        type = 0xFA

        def serialize(self) -> bytes:
            return b"\x00\x00\x03\xfa\x00\x00\x00\x00\x00abc"

    return Unknown(0)


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_ends_the_connection(
    autojump_clock: MockClock, logs: Logs, flood: str
) -> None:
    field, make = FLOODS[flood]
    burst, _ = getattr(LENIENT, field)
    async with beside_a_healthy_device(services=never) as served:
        await served.peer.open(1)
        spent = 1 if field == "settings" else 0  # the first SETTINGS count
        await send_many(served.peer, [make(n) for n in range(burst - spent)])
        frames = await served.peer.quiet()
        assert not any(isinstance(frame, GoAwayFrame) for frame in frames)
        await send_many(served.peer, [make(burst)])
        assert await calm_down(served)
    assert [line["event"] for line in logs] == ["peer broke the rules"]


@pytest.mark.parametrize("flood", FLOODS)
async def test_below_its_rate_a_frame_may_come_for_ever(
    autojump_clock: MockClock, flood: str
) -> None:
    field, make = FLOODS[flood]
    burst, per_s = getattr(LENIENT, field)
    async with beside_a_healthy_device(services=never) as served:
        await served.peer.open(1)
        for number in range(burst + 50):
            await trio.sleep(1.01 / per_s)
            await served.peer.send(make(number))
        frames = await served.peer.quiet()
        assert not any(isinstance(frame, GoAwayFrame) for frame in frames)


async def reset_own(peer: RawPeer, stream_id: int) -> None:
    await peer.open(stream_id)
    await peer.reset(stream_id)
    await wait_all_tasks_blocked()


async def provoke_malformed(peer: RawPeer, stream_id: int) -> None:
    await peer.send(peer.headers_frame(stream_id, request_headers(_path=None)))


async def provoke_overflow(peer: RawPeer, stream_id: int) -> None:
    await peer.open(stream_id)
    await peer.widen(stream_id, 2**31 - 1)
    await wait_all_tasks_blocked()


async def provoke_closed(peer: RawPeer, stream_id: int) -> None:
    await peer.open(stream_id, end=True)
    await peer.give(stream_id, b"x")
    await wait_all_tasks_blocked()


async def provoke_refusal(peer: RawPeer, stream_id: int) -> None:
    if stream_id == 1:
        for first in range(1001, 1033, 2):
            await peer.open(first)
    await peer.open(stream_id + 2000)


PROVOCATIONS = [reset_own, provoke_malformed, provoke_overflow, provoke_closed, provoke_refusal]


@pytest.mark.parametrize("provoke", PROVOCATIONS)
async def test_resets_received_or_provoked_are_limited(
    autojump_clock: MockClock,
    logs: Logs,
    provoke: Callable[[RawPeer, int], Awaitable[None]],
) -> None:
    """Rapid reset (CVE-2023-44487) and "made you reset" (CVE-2025-8671)."""
    limits = replace(LENIENT, max_streams=16)
    async with beside_a_healthy_device(services=never, limits=limits) as served:
        start = trio.current_time()
        for number in range(100):
            await provoke(served.peer, 2 * number + 1)
        await wait_all_tasks_blocked()
        assert not served.ended.is_set()
        with suppress(trio.BrokenResourceError):
            for number in range(100, 110):
                await provoke(served.peer, 2 * number + 1)
                await wait_all_tasks_blocked()
        assert trio.current_time() - start < 0.5
        assert await calm_down(served) == b"too many resets"
    assert len(logs) <= 2


async def test_a_device_that_flaps_is_not_an_attack(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(services=never) as served:
        for number in range(300):
            await reset_own(served.peer, 2 * number + 1)
            await trio.sleep(0.2)
        assert not served.ended.is_set()


# PING


async def test_pings_too_often_are_two_strikes_then_out(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(services=never) as served:
        await served.peer.open(1)
        for _ in range(3):  # the first is nobody's strike
            await served.peer.ping()
            await served.peer.next(PingFrame)
        await served.peer.ping()
        assert await calm_down(served) == b"too_many_pings"


async def test_pings_10_s_apart_are_welcome(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(services=never) as served:
        await served.peer.open(1)
        for _ in range(30):
            await served.peer.ping()
            assert (await served.peer.next(PingFrame)).opaque_data == b"12345678"
            await trio.sleep(10)


async def test_pings_between_our_data_are_welcome(autojump_clock: MockClock) -> None:
    """gRPC clients measure the path with a PING for what they receive."""
    async with beside_a_healthy_device() as served:
        await served.peer.open(1)
        for number in range(1, 50):
            await served.peer.message(1, packet(5))
            await served.peer.received(1, 10 * number)
            await served.peer.ping()
            await served.peer.next(PingFrame)
