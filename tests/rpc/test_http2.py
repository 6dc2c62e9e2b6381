"""HTTP/2 itself: h2spec's cases that apply to a server of gRPC, by section of RFC 9113.

Sections 3.5 (3.4 today), 4, 5.1, 5.4, 5.5, 6.x, 7 and 8.1.2 (8.2, 8.3), and HPACK. A connection
error is written as its code; of a stream error only that stream ends, and the next call is fine.
"""

from __future__ import annotations

import pytest
import trio
from http2_cases import (
    CONNECTION_ERRORS,
    FINE,
    FINE_AFTER_THE_END,
    GOOD,
    PROTOCOL_ERROR,
    STREAM_ERRORS,
)
from http2_frames import PREFACE
from hyperframe.frame import (
    DataFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from serving import echo, never, packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
async def test_a_connection_error_is_a_goaway_with_its_code(
    autojump_clock: MockClock, case: str
) -> None:
    code, send = CONNECTION_ERRORS[case]
    async with serving(echo) as served:
        await send(served.peer)
        assert (await served.peer.ended_with())[0] == code


@pytest.mark.parametrize("case", STREAM_ERRORS)
async def test_a_stream_error_is_a_reset_of_that_stream(
    autojump_clock: MockClock, case: str
) -> None:
    code, send = STREAM_ERRORS[case]
    async with serving(never) as served:
        await send(served.peer)
        assert await served.peer.reset_code(1) == code
        await served.peer.open(3, path="/none", end=True)
        assert await served.peer.status(3) == 12


@pytest.mark.parametrize("case", FINE)
async def test_what_is_allowed_is_fine(autojump_clock: MockClock, case: str) -> None:
    async with serving(never) as served:
        await FINE[case](served.peer)
        await served.peer.open(3, path="/none", end=True)
        assert await served.peer.status(3) == 12


@pytest.mark.parametrize("case", FINE_AFTER_THE_END)
async def test_what_is_allowed_after_an_end_is_fine(autojump_clock: MockClock, case: str) -> None:
    async with serving(echo) as served:
        await FINE_AFTER_THE_END[case](served.peer)
        await served.peer.open(3, end=True)
        assert await served.peer.status(3) == 0


async def test_3_4_the_server_begins_with_settings(autojump_clock: MockClock) -> None:
    async with serving() as served:
        first, *others = await served.peer.quiet()
        assert isinstance(first, SettingsFrame)
        assert first.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
        assert first.settings[SettingsFrame.MAX_HEADER_LIST_SIZE] == 16 * 1024
        assert any(isinstance(f, SettingsFrame) and "ACK" in f.flags for f in others)


@pytest.mark.parametrize("wrong", [b"GET / HTTP/1.1\r\n\r\n", b"X", PREFACE[:-1] + b"X"])
async def test_3_4_another_preface_is_refused(autojump_clock: MockClock, wrong: bytes) -> None:
    async with serving(greet=False) as served:
        await served.peer.raw(wrong)
        assert (await served.peer.ended_with())[0] == PROTOCOL_ERROR


async def test_3_4_the_first_frame_is_settings(autojump_clock: MockClock) -> None:
    async with serving(greet=False) as served:
        await served.peer.raw(PREFACE + PingFrame(0, opaque_data=b"x" * 8).serialize())
        assert (await served.peer.ended_with())[0] == PROTOCOL_ERROR


async def test_3_4_one_byte_at_a_time(autojump_clock: MockClock) -> None:
    async with serving(greet=False) as served:
        peer = served.peer
        request = peer.headers_frame(1, GOOD, end=True).serialize()
        for byte in PREFACE + SettingsFrame(0).serialize() + request:
            await peer.raw(bytes([byte]))
            await wait_all_tasks_blocked()
        assert await peer.status(1) == 0


async def test_6_7_a_ping_is_answered_with_its_data(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.ping(b"\x00\xff34567\x00")
        ping = await served.peer.next(PingFrame)
        assert ping.opaque_data == b"\x00\xff34567\x00"
        assert "ACK" in ping.flags


async def test_6_5_every_settings_is_acknowledged(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.quiet()
        for _ in range(5):
            await served.peer.settings({4: 1000})
        acks = [f for f in await served.peer.quiet() if isinstance(f, SettingsFrame)]
        assert len(acks) == 5


async def test_hpack_stays_in_step_through_all_that_is_refused(autojump_clock: MockClock) -> None:
    async with serving(echo) as served:
        peer = served.peer
        for stream_id in range(1, 61, 2):
            extra = (f"x-{stream_id}", "value " * 10)
            wrong = [("te", None), ("content_type", "x"), ("_path", ""), ("_path", "/x")]
            name, value = wrong[stream_id % 4]
            await peer.open(stream_id, extra, **{name: value}, end=True)
        await peer.open(61, ("x-1", "value " * 10), end=True)
        assert await peer.status(61) == 0


async def test_nothing_is_sent_on_a_stream_after_its_reset(autojump_clock: MockClock) -> None:
    async with serving(echo) as served:
        peer = served.peer
        await peer.open(1)
        await peer.message(1, packet(5))
        await peer.received(1, 10)
        peer.frames.clear()
        await peer.send(
            DataFrame(1, data=b"\0\0\0\0\0" * 100),
            RstStreamFrame(1, error_code=8),
            WindowUpdateFrame(0, window_increment=1),
        )
        with trio.move_on_after(1):
            await peer.next(DataFrame, 1)
            raise AssertionError
