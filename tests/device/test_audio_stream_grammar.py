"""The grammar keeper of one audio stream."""

from __future__ import annotations

import math

import pytest
import trio
from fake_sink import FakeSink, is_grammatical, make_clip
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_stream import AudioStream
from audio_server.wire.audio import SILENCE

CLIP = make_clip(5)


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture
def stream(sink: FakeSink) -> AudioStream:
    return AudioStream(sink)


def begin(stream: AudioStream) -> None:
    stream.send(CLIP.slice(0, 2), ends=False)


async def test_nothing_is_owed_before_anything_was_sent(
    stream: AudioStream, sink: FakeSink
) -> None:
    assert stream.close_nowait()
    assert sink.flags == ""


async def test_a_cut_take_is_closed_by_one_packet_of_silence(
    stream: AudioStream, sink: FakeSink
) -> None:
    begin(stream)
    assert stream.is_open
    assert stream.close_nowait()
    assert stream.close_nowait()
    assert sink.flags == "SmE"
    assert sink.packets[-1].data == SILENCE


async def test_a_take_that_sent_its_last_packet_owes_nothing(
    stream: AudioStream, sink: FakeSink
) -> None:
    begin(stream)
    stream.send(CLIP.slice(2, 5), ends=True)
    assert not stream.is_open
    assert stream.close_nowait()
    assert sink.flags == "SmmmE"


async def test_without_room_the_end_is_owed(stream: AudioStream, sink: FakeSink) -> None:
    begin(stream)
    sink.give(-math.inf)
    assert not stream.close_nowait()
    assert stream.is_open
    sink.give(math.inf)
    assert stream.close_nowait()
    assert sink.flags == "SmE"


async def test_close_waits_for_room(
    stream: AudioStream, sink: FakeSink, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    begin(stream)
    sink.give(-math.inf)
    closed: list[str] = []

    async def wait() -> None:
        await stream.wait_closed()
        closed.append(sink.flags)

    nursery.start_soon(wait)
    nursery.start_soon(wait)
    nursery.start_soon(stream.close)
    await wait_all_tasks_blocked()
    assert sink.flags == "Sm"
    sink.give(math.inf)
    await wait_all_tasks_blocked()
    assert closed == ["SmE", "SmE"]


async def test_a_cancelled_close_still_owes_the_end(
    stream: AudioStream, sink: FakeSink, autojump_clock: MockClock
) -> None:
    begin(stream)
    sink.give(-math.inf)
    with trio.move_on_after(1):
        await stream.close()
    assert stream.is_open
    sink.give(math.inf)
    await stream.close()
    assert sink.flags == "SmE"


async def test_waiting_for_what_is_closed_returns(stream: AudioStream) -> None:
    await stream.wait_closed()


async def test_a_stream_that_is_lost_gets_its_end(stream: AudioStream, sink: FakeSink) -> None:
    begin(stream)
    stream.abandon()
    assert sink.flags == "SmE"


async def test_a_stream_that_is_lost_without_room_gets_its_end_too(
    stream: AudioStream, sink: FakeSink, nursery: trio.Nursery
) -> None:
    """It waits in the sink, for whoever reads the stream to its end; nothing else follows."""
    begin(stream)
    sink.give(-math.inf)
    nursery.start_soon(stream.wait_closed)
    await wait_all_tasks_blocked()
    stream.abandon()
    assert sink.flags == "SmE"
    sink.give(math.inf)
    begin(stream)
    assert stream.close_nowait()
    assert sink.flags == "SmE"


def test_the_helper_knows_the_grammar() -> None:
    assert is_grammatical("")
    assert is_grammatical("SmmESEB")
    wrong = ["m", "E", "Sm", "SS", "SmEm", "SSE", "SEE", "BE"]
    assert not any(is_grammatical(flags) for flags in wrong)
