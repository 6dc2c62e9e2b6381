"""How long a connection lives: keepalive, idleness, what is owed in time, and the farewell."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
from grpclib.const import Status
from http2_frames import PREFACE
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame
from offending import beside_a_healthy_device
from raw_peer import RawPeer, request_headers
from serving import LENIENT, echo, never, packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked

Logs = list[MutableMapping[str, Any]]


def events(logs: Logs) -> list[str]:
    return [str(line["event"]) for line in logs]


async def test_a_silent_peer_is_pinged_then_given_up(autojump_clock: MockClock, logs: Logs) -> None:
    async with beside_a_healthy_device(never) as served:
        start = trio.current_time()
        await served.peer.open(1)
        ping = await served.peer.next(PingFrame)
        assert "ACK" not in ping.flags
        assert trio.current_time() - start == pytest.approx(20)
        frames = await served.peer.closed()
        assert trio.current_time() - start == pytest.approx(30)
        assert not any(isinstance(frame, GoAwayFrame) for frame in frames)
    assert events(logs) == ["connection aborted"]


async def test_an_answered_ping_keeps_the_connection(autojump_clock: MockClock) -> None:
    async with serving(never) as served:
        await served.peer.open(1)
        for _ in range(30):
            ping = await served.peer.next(PingFrame)
            await trio.sleep(9)
            await served.peer.send(PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
        assert not served.ended.is_set()


async def test_any_sign_of_life_will_do(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1)
        for _ in range(100):
            await trio.sleep(19)
            await served.peer.message(1, packet(5))
        frames = await served.peer.quiet()
        assert not any(isinstance(frame, PingFrame) for frame in frames)


async def test_a_stalled_and_silent_peer_is_gone_within_35_s(
    autojump_clock: MockClock, logs: Logs
) -> None:
    """It does not even take our PING off the wire; the calls end all the same."""
    ended = trio.Event()

    async def handler(call: Any) -> None:
        try:
            while True:
                await call.send_framed(b"\x00\x00\x00\x03\xe8" + packet(1000))
        finally:
            ended.set()

    async with beside_a_healthy_device(
        handler, pair=trio.testing.lockstep_stream_pair, greet=False
    ) as served:
        peer = served.peer
        await peer.raw(
            PREFACE
            + SettingsFrame(0, settings={4: 2**20}).serialize()
            + peer.headers_frame(1, request_headers()).serialize()
        )
        start = trio.current_time()
        with trio.fail_after(35):
            await ended.wait()
            await served.ended.wait()
        assert trio.current_time() - start == pytest.approx(30)


@pytest.mark.parametrize("part", [b"", PREFACE[:5], PREFACE])
async def test_preface_and_settings_are_due_in_10_s(autojump_clock: MockClock, part: bytes) -> None:
    async with beside_a_healthy_device(greet=False) as served:
        start = trio.current_time()
        if part:
            await served.peer.raw(part)
        code, _ = await served.peer.ended_with()
        assert code == 1
        assert trio.current_time() - start == pytest.approx(10)


async def test_a_header_block_must_end_in_5_s(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        await trio.sleep(3)
        start = trio.current_time()
        await served.peer.send(HeadersFrame(1, data=b"\x82"))
        await trio.sleep(2)
        assert not served.ended.is_set()
        code, _ = await served.peer.ended_with()
        assert code in (1, 11)
        assert trio.current_time() - start == pytest.approx(5)


async def test_a_connection_without_calls_is_closed_after_60_s(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        start = trio.current_time()
        goaways: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, served.peer, goaways)
            await served.ended.wait()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - start == pytest.approx(60)
        assert goaways == [0]


async def answer_pings(peer: RawPeer, goaways: list[int]) -> None:
    """Live on, until the server says that it is over."""
    while True:
        frame = await peer.next(Frame)
        if isinstance(frame, GoAwayFrame):
            goaways.append(frame.error_code)
            return
        if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            with suppress(trio.BrokenResourceError):  # the server may have gone by now
                await peer.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))


async def test_the_60_s_count_from_the_end_of_the_last_call(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(echo) as served:
        await trio.sleep(15)
        await served.peer.open(1)
        await trio.sleep(15)
        await served.peer.open(3)
        await trio.sleep(15)
        await served.peer.give(1, b"", end=True)
        await served.peer.give(3, b"", end=True)
        start = trio.current_time()
        goaways: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, served.peer, goaways)
            await served.ended.wait()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - start == pytest.approx(60)


async def test_a_call_however_quiet_keeps_the_connection(autojump_clock: MockClock) -> None:
    async with serving(never) as served:
        await served.peer.open(1)
        goaways: list[int] = []
        with trio.move_on_after(1000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer_pings, served.peer, goaways)
                await served.ended.wait()
                raise AssertionError


async def test_a_closed_connection_ends_its_calls(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def handler(call: Any) -> None:
        try:
            await call.recv_message()
        finally:
            ended.set()

    async with serving(handler) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        await served.peer.transport.aclose()
        await wait_all_tasks_blocked()
        assert ended.is_set()
        assert served.ended.is_set()


async def test_a_handler_that_takes_its_time_to_end_is_cancelled_anyway(
    autojump_clock: MockClock,
) -> None:
    """After its peer is gone a call has `close_timeout_s` to end; then it is cancelled."""

    async def handler(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(100, shield=False):
                await trio.sleep(50)

    async with serving(handler) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        await served.peer.transport.aclose()
        await served.ended.wait()
        assert trio.current_time() - start <= 2.01


async def test_goaway_is_flushed_before_the_close(autojump_clock: MockClock, logs: Logs) -> None:
    async with serving() as served:
        await served.peer.open(1)
        await served.peer.send(PingFrame(0), HeadersFrame(3, data=b"\xff\xff\xff\xff\xff\xff\xff"))
        await served.peer.send(HeadersFrame(5, data=b""))
        goaway = await served.peer.goaway()
        assert goaway.last_stream_id == 1
        # What comes after it is the status of the call that was open.
        await served.peer.closed()
        assert await served.peer.status(1) == Status.UNAVAILABLE.value
    assert events(logs) == ["peer broke the rules"]


async def test_calls_of_a_rule_breaker_end_too(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def handler(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with serving(handler) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        await served.peer.raw(b"\xff\xff\xff\x00\x00\x00\x00\x00\x00")
        assert (await served.peer.goaway()).error_code == 6
        await served.peer.closed()
        assert ended.is_set()


async def test_a_peer_that_says_nothing_at_all_costs_nothing_at_the_end(
    autojump_clock: MockClock,
) -> None:
    async with serving(greet=False, limits=replace(LENIENT, preface_s=1)) as served:
        await served.ended.wait()
        assert served.peer.headers == {}


@pytest.mark.parametrize(("calls", "ends"), [(16, False), (17, True)])
async def test_few_calls_of_a_connection_stay_without_an_identity(
    autojump_clock: MockClock, calls: int, *, ends: bool
) -> None:
    """Such as health checks: they cost memory, and are bounded by nothing else."""
    async with serving(never) as served:
        for number in range(calls):
            await served.peer.open(2 * number + 1)
        start = trio.current_time()
        await trio.sleep(5)
        assert served.ended.is_set() is ends
        if ends:
            assert await served.peer.ended_with() == (11, b"too many calls without an identity")
            assert trio.current_time() - start <= 5.1


async def test_any_number_of_calls_may_be_of_devices(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await trio.sleep(0.5)
        call.identified()
        call.identified()
        await trio.sleep_forever()

    async with serving(handler) as served:
        for number in range(100):
            await served.peer.open(2 * number + 1)
        await trio.sleep(20)
        assert not served.ended.is_set()
        assert served.connection._unidentified == 0


async def test_calls_without_an_identity_that_end_are_forgotten(autojump_clock: MockClock) -> None:
    limits = replace(LENIENT, resets=(1000, 1000))
    async with serving(never, limits=limits) as served:
        for number in range(50):
            await served.peer.open(2 * number + 1)
            await trio.sleep(0.2)
            await served.peer.reset(2 * number + 1)
        await trio.sleep(5)
        assert not served.ended.is_set()
        assert served.connection._unidentified == 0
