"""The grammar keeper of one audio stream."""

from __future__ import annotations

import math

import pytest
import trio
from fake_sink import FakeOutlet, is_grammatical, make_clip
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_stream import AudioStream
from audio_server.wire.audio import SILENCE

CLIP = make_clip(5)


@pytest.fixture
def outlet() -> FakeOutlet:
    return FakeOutlet()


@pytest.fixture
def track(outlet: FakeOutlet) -> AudioStream:
    return AudioStream(outlet)


def begin(track: AudioStream) -> None:
    track.send(CLIP.slice(0, 2), ends=False)


async def test_nothing_is_owed_before_anything_was_sent(
    track: AudioStream, outlet: FakeOutlet
) -> None:
    assert track.close_nowait()
    assert outlet.flags == ""


async def test_a_cut_take_is_closed_by_one_packet_of_silence(
    track: AudioStream, outlet: FakeOutlet
) -> None:
    begin(track)
    assert track.is_open
    assert track.close_nowait()
    assert track.close_nowait()
    assert outlet.flags == "SmE"
    assert outlet.packets[-1].data == SILENCE


async def test_a_take_that_sent_its_last_packet_owes_nothing(
    track: AudioStream, outlet: FakeOutlet
) -> None:
    begin(track)
    track.send(CLIP.slice(2, 5), ends=True)
    assert not track.is_open
    assert track.close_nowait()
    assert outlet.flags == "SmmmE"


async def test_without_room_the_end_is_owed(track: AudioStream, outlet: FakeOutlet) -> None:
    begin(track)
    outlet.give(-math.inf)
    assert not track.close_nowait()
    assert track.is_open
    outlet.give(math.inf)
    assert track.close_nowait()
    assert outlet.flags == "SmE"


async def test_close_waits_for_room(
    track: AudioStream, outlet: FakeOutlet, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    begin(track)
    outlet.give(-math.inf)
    closed: list[str] = []

    async def wait() -> None:
        await track.wait_closed()
        closed.append(outlet.flags)

    nursery.start_soon(wait)
    nursery.start_soon(wait)
    nursery.start_soon(track.close)
    await wait_all_tasks_blocked()
    assert outlet.flags == "Sm"
    outlet.give(math.inf)
    await wait_all_tasks_blocked()
    assert closed == ["SmE", "SmE"]


async def test_a_cancelled_close_still_owes_the_end(
    track: AudioStream, outlet: FakeOutlet, autojump_clock: MockClock
) -> None:
    begin(track)
    outlet.give(-math.inf)
    with trio.move_on_after(1):
        await track.close()
    assert track.is_open
    outlet.give(math.inf)
    await track.close()
    assert outlet.flags == "SmE"


async def test_waiting_for_what_is_closed_returns(track: AudioStream) -> None:
    await track.wait_closed()


async def test_a_stream_that_is_lost_gets_its_end(track: AudioStream, outlet: FakeOutlet) -> None:
    begin(track)
    track.abandon()
    assert outlet.flags == "SmE"


async def test_a_stream_that_is_lost_without_room_gets_its_end_too(
    track: AudioStream, outlet: FakeOutlet, nursery: trio.Nursery
) -> None:
    """It waits in the outlet, for whoever reads the stream to its end; nothing else follows."""
    begin(track)
    outlet.give(-math.inf)
    nursery.start_soon(track.wait_closed)
    await wait_all_tasks_blocked()
    track.abandon()
    assert outlet.flags == "SmE"
    outlet.give(math.inf)
    begin(track)
    assert track.close_nowait()
    assert outlet.flags == "SmE"


def test_the_helper_knows_the_grammar() -> None:
    assert is_grammatical("")
    assert is_grammatical("SmmESEB")
    wrong = ["m", "E", "Sm", "SS", "SmEm", "SSE", "SEE", "BE"]
    assert not any(is_grammatical(flags) for flags in wrong)
